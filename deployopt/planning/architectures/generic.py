"""A family that is not known, read as the nearest common one where the usual keys are there.

In: any config. Out: its architecture, whose `basis` says what it was counted as. Families that
keep a state in place of keys and values are refused: nothing here would be right about them.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.errors import UsageError
from deployopt.core.text import safe_text
from deployopt.planning.architectures import decoder, encoders, llamas
from deployopt.planning.architectures.endings import BERT
from deployopt.planning.architectures.heads import head_of
from deployopt.planning.architectures.keys import BY_HAND, Keys
from deployopt.planning.architectures.sights import TEXTS
from deployopt.planning.architectures.towers import part

_USUAL: Final = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
)
RECURRENT: Final = frozenset(
    {"kimi_linear", "lfm2_moe", "nemotron_h", "olmo_hybrid", "rwkv", "xlstm", "zamba", "zamba2"}
)
_SHOWN: Final = 40


def generic(keys: Keys) -> Architecture:
    """Llama-like where `architectures` says that it generates, BERT-like otherwise.

    Raises:
        UsageError: one of the usual keys is missing, or the family is of another kind.
    """
    name = safe_text(keys.text("model_type"), _SHOWN) or "without a model_type"
    if name in RECURRENT:
        raise UsageError(
            f"Models of the family {name!r} keep a state in place of keys and values, which is not "
            f"worked out here. The sizes of a model like it can be given by hand: {BY_HAND}"
        )
    if name == "timm_wrapper":
        shown = safe_text(keys.text("architecture"), _SHOWN) or "unnamed"
        raise UsageError(
            f"The config wraps a net of timm, {shown!r} under `architecture`, whose sizes it does "
            f"not give. Export the net to ONNX and pass that file, or give the sizes by hand: "
            f"{BY_HAND}"
        )
    if keys.part("text_config") is not None:
        return _text_alone(keys, name)
    missing = [key for key in _USUAL if not keys.has(key)]
    if missing:
        raise UsageError(
            f"The model family {name!r} is not known, and its config does not say "
            f"{', '.join(missing)}. Give the sizes by hand: {BY_HAND}"
        )
    if head_of(keys, "base") == "generate":
        found = decoder.assemble(keys, llamas.sized(keys, llamas.Defaults(), name))
        like = "a Llama-like decoder"
    else:
        found = encoders.assemble(keys, encoders.sized(keys, encoders.Defaults(), name), BERT)
        like = "a BERT-like encoder"
    return msgspec.structs.replace(found, basis=f"generic: family {name!r} counted as {like}")


def _text_alone(keys: Keys, name: str) -> Architecture:
    """The text model of a family that has more."""
    text = part(keys, "text_config")
    family = text.text("model_type")
    if family in TEXTS:
        found = TEXTS[family](text)
    else:
        text = msgspec.structs.replace(
            text, values={**text.values, "architectures": ("ForCausalLM",)}
        )
        found = generic(text)
    return msgspec.structs.replace(
        found,
        model_type=name,
        basis=f"generic: of the family {name!r} its text model alone is counted",
    )
