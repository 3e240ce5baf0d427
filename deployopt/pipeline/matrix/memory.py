"""How much memory the build of a cell may take, guessed before it starts.

A prediction: `BASE_BYTES` for the program and its libraries, and `COPIES` times the float weights,
for a build holds the model as it came, its graph, and the graph that is being written. What
measuring takes is limited by itself, by what is free then.
"""

from pathlib import Path
from typing import Final

from deployopt.catalogue.models import aliases, find_entry
from deployopt.core.errors import DeployoptError
from deployopt.core.units import Dimension, show_quantity
from deployopt.sources.hub_names import PREFIX
from deployopt.sources.naming import GRAPH, is_path

BASE_BYTES: Final = 1_200 * 2**20
GRAPH_BASE_BYTES: Final = 400 * 2**20
"""Of a graph, which is built without torch."""
COPIES: Final = 4
UNKNOWN_BYTES: Final = 500 * 2**20
"""Weights of a model on the hub, of which nothing is looked up."""
_WEIGHTS: Final = (".safetensors", ".bin", ".gguf", ".onnx", ".data")
_FLOAT_BYTES: Final = 4


class TooLargeError(DeployoptError):
    """A cell needs more memory than any machine that could build it has."""


def predicted_bytes(model: str) -> int:
    """Of the whole build of this model, beside what its measuring takes."""
    base = GRAPH_BASE_BYTES if model.endswith(GRAPH) else BASE_BYTES
    return base + COPIES * weight_bytes(model)


def weight_bytes(model: str) -> int:
    """As float32 where the catalogue tells, else as they lie on the disk."""
    if model.startswith(PREFIX):
        return UNKNOWN_BYTES
    if not is_path(model):
        known = model.casefold() in aliases()
        return find_entry(model).parameters * _FLOAT_BYTES if known else UNKNOWN_BYTES
    path = Path(model)
    if path.is_file():
        beside = path.parent.glob(f"{path.stem}*") if path.suffix == GRAPH else (path,)
        return sum(one.stat().st_size for one in beside if one.suffix in _WEIGHTS)
    found = (one for one in path.rglob("*") if one.suffix in _WEIGHTS and one.is_file())
    return sum(one.stat().st_size for one in found)


def too_large(model: str, needed_bytes: int, there_bytes: int) -> str | None:
    """Why a build is not begun on this machine, or None."""
    if needed_bytes <= there_bytes:
        return None
    needed, there = (show_quantity(size, Dimension.SIZE) for size in (needed_bytes, there_bytes))
    return (
        f"Building {model} is predicted to take {needed} of memory, and this machine has {there}. "
        "It was not begun. Build it on a machine with more memory."
    )
