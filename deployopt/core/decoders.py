"""The classes of causal language models that are built, and the words for any other.

In: the class that a config names, or the config. Out: a sentence.
"""

from collections.abc import Mapping
from typing import Final

from deployopt.core.text import safe_text

DECODER_CLASSES: Final = (
    "Ernie4_5ForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM", "GemmaForCausalLM",
    "GraniteForCausalLM", "HunYuanDenseV1ForCausalLM", "LlamaForCausalLM", "MistralForCausalLM",
    "NemotronForCausalLM", "Phi3ForCausalLM", "PhiForCausalLM", "Qwen2ForCausalLM",
    "Qwen3ForCausalLM", "SmolLM3ForCausalLM",
)  # fmt: skip
"""Of onnxruntime-genai's those of which its float graph says what torch says of the model."""

_OWN_ANGLES: Final = frozenset({"LlamaForCausalLM", "NemotronForCausalLM", "SmolLM3ForCausalLM"})
"""Of these the builder takes every stretched position but Llama 3's for a plain one."""
_RIGHT: Final = frozenset({"default", "dynamic", "llama3"})
"""`dynamic` stretches only what lies beyond the model's context, which nothing does here."""
_YARN: Final = "yarn"
"""The builder rounds its ends otherwise than transformers, and fails where a config omits them."""


def unknown_decoder(name: str) -> str:
    """What to tell whoever brings another."""
    return (
        f"The model builder of onnxruntime-genai does not build {safe_text(name, 80)}. It builds "
        f"{', '.join(DECODER_CLASSES)}. Take a model of one of these classes: the Llama, SmolLM, "
        "Qwen2.5, Qwen3, Mistral, Gemma 2 and 3 and Phi-3 models are."
    )


def stretched_decoder(config: Mapping[str, object]) -> str | None:
    """What to tell of positions that the builder makes something else of; None where it does not.

    Kinds that it says itself it does not know are left to it.
    """
    classes = config.get("architectures")
    name = str(classes[0]) if isinstance(classes, list) and classes else ""
    for key in ("rope_parameters", "rope_scaling"):
        said = config.get(key)
        kind = said.get("rope_type", said.get("type")) if isinstance(said, Mapping) else None
        if kind == _YARN or (kind is not None and name in _OWN_ANGLES and kind not in _RIGHT):
            return (
                f"The model's positions are stretched ({key}: {safe_text(str(kind), 40)}), and the "
                f"model builder of onnxruntime-genai makes another model of such a {name}. Where "
                "the model's own context is enough, take that out of its config.json."
            )
    return None
