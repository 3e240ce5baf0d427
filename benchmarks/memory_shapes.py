"""Which shape a model's name in a table stands for.

In: a name as people write it and the billions of parameters beside it. Out: an `Architecture`, or a
`Pipeline` of several models, and how it was found: by name here, in the catalogue, else the usual
shape at that size.
"""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from deployopt.catalogue.models import aliases, find_entry
from deployopt.core.architecture import Architecture
from deployopt.planning.architectures import read_architecture
from deployopt.planning.by_hand import typical_architecture
from deployopt.planning.entries import architecture_of

DATA: Final = Path(__file__).parent / "data"
_ENDINGS: Final = re.compile(
    r"-(chat|instruct|hf|base|it|v\d(\.\d)?|uncased|cased|gptq|awq|gguf|int4|int8|bf16|fp16)$"
)
_ENCODERS: Final = re.compile(r"bert|roberta|electra|minilm|deberta|mpnet|e5|bge|vit|clip|swin")
# A point that a name could not hold: qwen-1_8b is 1.8, llama2_7b is not 2.7.
_POINT: Final = re.compile(r"(?<=[-_])(\d)_(\d)(?=b|-|$)")
# A catalogue's aliases keep these endings; a table's names may lack them.
_GUESSES: Final = ("", "-base")
_TOO_FAR: Final = 0.3


class Pipeline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Image generation: a denoiser that a precision speaks of, and encoders beside it."""

    names: tuple[str, ...]
    quantized: int
    others: int
    hidden: int
    ffn: int
    patch: int
    side: int


class _Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    names: tuple[str, ...]
    config: dict[str, object]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    models: tuple[_Model, ...]
    pipelines: tuple[Pipeline, ...]


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """`how` it was found, in a few words."""

    architecture: Architecture | None = None
    pipeline: Pipeline | None = None
    how: str


def find_shape(name: str, billions: float | None) -> Shape:
    """The shape; a name that is known with quite another size is not believed.

    Raises:
        ValueError: the name is unknown and no parameters are given.
    """
    plain = plain_name(name)
    for pipeline in _table().pipelines:
        if plain in pipeline.names:
            return Shape(pipeline=pipeline, how="by name")
    found = _by_name(plain) or _catalogued(plain)
    if found is not None and _agrees(found, billions):
        return Shape(architecture=found, how="by name")
    if not billions:
        raise ValueError(f"{name!r} is not known and params_b is empty")
    encoder = _ENCODERS.search(plain) is not None
    return Shape(
        architecture=typical_architecture(round(billions * 1e9), encoder=encoder),
        how="the usual shape at that size",
    )


def plain_name(name: str) -> str:
    """`meta-llama/Llama-2-7b-chat-hf` is `llama-2-7b`, and so is `llama2_7B`."""
    plain = _POINT.sub(r"\1.\2", name.strip().lower().rpartition("/")[2])
    plain = plain.replace("_", "-").replace(" ", "-")
    plain = plain.removeprefix("meta-")
    while True:
        shorter = _ENDINGS.sub("", plain)
        if shorter == plain:
            break
        plain = shorter
    plain = re.sub(r"^(llama|gemma|phi|sd|sdxl)-?(\d)", r"\1-\2", plain)
    return re.sub(r"^(qwen|yi)-(\d\.?\d?)-(\d)", r"\1\2-\3", plain)


@cache
def _table() -> _Table:
    return msgspec.convert(tomllib.loads((DATA / "memory_models.toml").read_text("utf-8")), _Table)


@cache
def _by_name(plain: str) -> Architecture | None:
    for model in _table().models:
        if plain in {plain_name(name) for name in model.names}:
            return read_architecture(model.config)
    return None


@cache
def _catalogued(plain: str) -> Architecture | None:
    known = {plain_name(alias): alias for alias in aliases()}
    for ending in _GUESSES:
        if plain + ending in known or plain + ending in aliases():
            entry = find_entry(known.get(plain + ending, plain + ending))
            return architecture_of(entry) if entry.config or entry.operations else None
    return None


def _agrees(found: Architecture, billions: float | None) -> bool:
    if not billions:
        return True
    return abs(found.parameters / 1e9 - billions) <= _TOO_FAR * billions
