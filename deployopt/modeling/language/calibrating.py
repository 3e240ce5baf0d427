"""A language model's weights rounded to 4 bits with an eye to what they are multiplied by.

In: a folder in Hugging Face form, documents as token ids. Out: a folder in that form with integers
and scales, which the builder of decoders reads, and which products kept 8 bits. Rounding to the
nearest minimises the error of each weight; GPTQ that of each product's outputs on real text, by
correcting the weights that are still to be rounded for those that were. Olive does it, in a
confined process of its own.
"""

import json
import os
from pathlib import Path
from typing import Final

import msgspec

from deployopt.confinement.running import TIMEOUT_S, Work, run_confined
from deployopt.core.errors import StepError
from deployopt.modeling.language.calibrating_child import Order
from deployopt.modeling.loading import check_weights, read_config
from deployopt.store.staging import remove_tree
from deployopt.store.writing import copy_new_file

CHILD: Final = "deployopt.modeling.language.calibrating_child"
BITS: Final = 4
ASKED: Final = 8
"""Documents by which layers are ranked: a pass backwards takes twice as long as one forwards."""
_CONFIG: Final = "config.json"
_QUANTIZED: Final = "quantization_config"
_WEIGHTS: Final = (".safetensors", ".safetensors.index.json")
_SCRATCH: Final = "calibrating-scratch"


class Rounding(msgspec.Struct, frozen=True, kw_only=True):
    """As the step calibrate-decoder."""

    block: int = 32
    eight: float = 0.0
    damping: float = 0.01
    threads: int = 1
    timeout_s: float = TIMEOUT_S


class Calibrated(msgspec.Struct, frozen=True, kw_only=True):
    """What it took, and the products that kept 8 bits, by transformers' names."""

    seconds: float
    peak_bytes: int
    eight: tuple[str, ...]


def calibrate_weights(
    source: Path, documents: Path, destination: Path, rounding: Rounding
) -> Calibrated:
    """Fill `destination`, an empty folder that exists; `documents` is a file of samples.

    Raises:
        RefusedInputError: the model may not be opened.
        StepError: it is quantized already, calibrating failed, took too long or too much memory.
    """
    check_weights(source)
    if read_config(source).get(_QUANTIZED):
        raise StepError(f"The model in {source} is quantized already: {_CONFIG} says how.")
    scratch = destination / _SCRATCH
    (scratch / "cache").mkdir(parents=True)
    order = Order(
        source=str(source.absolute()),
        documents=str(documents.absolute()),
        destination=str(destination.absolute()),
        cache=str((scratch / "cache").absolute()),
        bits=BITS,
        block=rounding.block,
        damping=rounding.damping,
        eight=rounding.eight,
        asked=ASKED,
        threads=rounding.threads,
        parent=os.getpid(),
    )
    work = Work(
        what="Calibrating the weights",
        needs=(
            "It needs about four times the model's weights; take fewer or shorter documents, a "
            "smaller model, or a machine with more memory."
        ),
        module=CHILD,
        order=order,
        scratch=scratch,
        threads=rounding.threads,
        timeout_s=rounding.timeout_s,
    )
    try:
        took = run_confined(work)
    finally:
        remove_tree(scratch)
    written = _settings(destination)
    _take_back(source, destination)
    return Calibrated(seconds=took.seconds, peak_bytes=took.peak_bytes, eight=written)


def _settings(destination: Path) -> tuple[str, ...]:
    """The products in 8 bits, by the config that was written."""
    path = destination / _CONFIG
    if not path.is_file():
        raise StepError(f"Calibrating ended well and wrote no {_CONFIG}.")
    settings = json.loads(path.read_text("utf-8"))[_QUANTIZED]
    overrides = settings.get("overrides") or {}
    return tuple(sorted(name for name, how in overrides.items() if how.get("bits") == 8))  # noqa: PLR2004


def _take_back(source: Path, destination: Path) -> None:
    """Everything but weights and config as it came: Olive writes the tokenizer anew."""
    for path in sorted(destination.iterdir()):
        if _beside(path):
            path.unlink()
    for path in sorted(source.iterdir()):
        if path.is_file() and _beside(path):
            copy_new_file(path, destination / path.name)


def _beside(path: Path) -> bool:
    return path.name != _CONFIG and not path.name.endswith(_WEIGHTS)
