"""The process that runs the model builder of onnxruntime-genai; it dies with its parent.

In: what to build, as JSON in the first argument. Out: the builder's files in the folder that was
named. It is confined before the builder is imported: it reads the model, writes that folder, starts
nothing and has no network. An architecture that the builder does not know ends it with UNKNOWN.
"""

import importlib
import os
import runpy
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from deployopt.confinement.confine import confine_reader
from deployopt.confinement.parent import die_with
from deployopt.core.errors import ExitCode

UNKNOWN: Final = 64
"""Exit status: the builder does not know the architecture."""
_PACKAGE: Final = "onnxruntime_genai.models"
_BUILDER: Final = f"{_PACKAGE}.builder"
_SAID: Final = "model is not currently supported"
_CACHES: Final = ("HF_HOME", "TMPDIR", "TORCHINDUCTOR_CACHE_DIR")


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The builder's own options; `options` are what it takes behind --extra_options."""

    source: str
    destination: str
    cache: str
    precision: str
    provider: str
    options: tuple[str, ...]
    parent: int


def build(order: Order) -> int:
    """Run the builder as its command line would."""
    die_with(order.parent)
    confine_reader([Path(order.source)], [Path(order.destination), Path(order.cache)])
    os.environ |= dict.fromkeys(_CACHES, order.cache)
    sys.argv = [_BUILDER, "-i", order.source, "-o", order.destination, "-c", order.cache,
        "-p", order.precision, "-e", order.provider]  # fmt: skip
    if order.options:
        sys.argv += ["--extra_options", *order.options]
    _flatten_rotary()
    _leave_unrotated()
    try:
        runpy.run_module(_BUILDER, run_name="__main__", alter_sys=True)
    except NotImplementedError as error:
        sys.stderr.write(f"{error}\n")
        return UNKNOWN if _SAID in str(error) else ExitCode.FAILED
    return ExitCode.ACCEPTED


def _flatten_rotary() -> None:
    """Let the builder see Gemma 3's two rotary bases by the names that it reads them by.

    Transformers 5 keeps them by kind of layer; the builder still asks for the names of version 4.
    """
    from transformers import AutoConfig

    plain = AutoConfig.from_pretrained

    def read(*given: object, **options: object) -> object:
        config = plain(*given, **options)
        kinds = getattr(config, "rope_parameters", None) or {}
        if getattr(config, "model_type", "") != "gemma3_text" or "full_attention" not in kinds:
            return config
        far, near = kinds["full_attention"], kinds["sliding_attention"]
        if far["rope_type"] != "default":
            raise NotImplementedError(
                f"Gemma 3 with {far['rope_type']} angles would become another model, as its "
                "windows' angles would be stretched too. Gemma 3 270M and 1B have plain ones."
            )
        config.rope_parameters = dict(far)
        config.rope_theta, config.rope_local_base_freq = far["rope_theta"], near["rope_theta"]
        return config

    AutoConfig.from_pretrained = read


def _leave_unrotated() -> None:
    """Let the builder put no angles at all where SmolLM3 has a layer without them.

    It only moves them out of that layer's attention, and asks for places that its graph has not.
    """
    importlib.import_module(_PACKAGE)  # which makes `builders` a name of its own
    kind: Any = importlib.import_module("builders.smollm").SmolLM3Model
    plain = kind.make_attention

    def make(self: Any, layer: int, *given: object, **named: object) -> None:  # noqa: ANN401
        usual = self.attention_attrs["rope"]
        self.attention_attrs["rope"] = usual and bool(self.no_rope_layers[layer])
        plain(self, layer, *given, **named)
        self.attention_attrs["rope"] = usual

    kind.make_attention = make


if __name__ == "__main__":
    sys.exit(build(msgspec.json.decode(sys.argv[1], type=Order)))
