"""Arrays for a graph whose inputs have no meaning to deployopt: from npz files, or made up.

In: an npz file, or a folder of them, with an array `[n, …]` an input and perhaps `labels` `[n]`; or
the declared shapes and a seed. Out: feeds with a batch dimension of 1 each. Refuses objects (they
are pickles), other names, types or shapes than the graph's, and archives that grow too large.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from deployopt.core.errors import UsageError
from deployopt.core.interface import ArrayInput, ArrayInputs
from deployopt.core.plain_arrays import read_arrays_of, read_one_array
from deployopt.core.samples import Array, Feed
from deployopt.sources.checks import check_regular

BYTES_MAX: Final = 2 * 2**30
LABELS: Final = "labels"
SUFFIXES: Final = (".npz", ".npy")
# A length that may vary, in made-up inputs: long enough to be work, short for any model.
FREE_LENGTH: Final = 16
# A side that may vary, where an input looks like images: the commonest, a multiple of 32.
FREE_SIDE: Final = 224
_IMAGES_RANK: Final = 4
SYNTHETIC_BYTES_MAX: Final = 256 * 2**20


class Arrays(msgspec.Struct, frozen=True, kw_only=True):
    """Feeds in order, and a label for each where the file has them."""

    feeds: tuple[Feed, ...]
    labels: tuple[int, ...] | None


def list_arrays(path: Path) -> tuple[str, ...]:
    """The array files of a folder, or the one file, by name."""
    if path.is_file():
        return (path.name,)
    names = tuple(sorted(x.name for x in path.iterdir() if x.suffix == ".npz"))
    if not names:
        raise UsageError(f"{path} holds no .npz files with the graph's inputs.")
    for name in names:
        check_regular(path / name, path)
    return names


def read_arrays(folder: Path, names: tuple[str, ...], inputs: ArrayInputs) -> Arrays:
    """All examples of the files.

    Raises:
        RefusedInputError: an array of objects, a damaged file, or too many bytes.
        UsageError: the arrays are not the graph's inputs.
    """
    feeds: list[Feed] = []
    labels: list[int] = []
    room = BYTES_MAX
    for name in names:
        arrays, room = _load(folder / name, inputs, room)
        found = arrays.pop(LABELS, None)
        count = _check(folder / name, arrays, found, inputs)
        feeds += [{key: value[at : at + 1] for key, value in arrays.items()} for at in range(count)]
        labels += [int(x) for x in found] if found is not None else []
    if labels and len(labels) != len(feeds):
        raise UsageError(f"{folder} has {len(feeds)} examples and {len(labels)} labels.")
    return Arrays(feeds=tuple(feeds), labels=tuple(labels) or None)


def _load(path: Path, inputs: ArrayInputs, room: int) -> tuple[dict[str, Array], int]:
    if path.suffix == ".npy":
        if len(inputs.inputs) != 1:
            raise UsageError(f"{path} holds one array, the graph takes {_named(inputs)}.")
        found = {inputs.inputs[0].name: read_one_array(path, room)}
    else:
        found = read_arrays_of(path, room)
    return found, room - sum(array.nbytes for array in found.values())


def _check(
    path: Path, arrays: Mapping[str, Array], labels: Array | None, inputs: ArrayInputs
) -> int:
    if set(arrays) != {item.name for item in inputs.inputs}:
        raise UsageError(
            f"{path} holds {', '.join(sorted(arrays)) or 'nothing'}; the graph takes "
            f"{_named(inputs)}. Name each array as the input, examples first."
        )
    counts = {len(array) if array.ndim else 0 for array in arrays.values()}
    if labels is not None:
        counts.add(labels.size if labels.ndim == 1 and labels.dtype.kind in "iu" else -1)
    if len(counts) != 1 or min(counts) < 1:
        raise UsageError(
            f"{path}: the arrays (and whole-number labels) do not have the same count of examples."
        )
    for item in inputs.inputs:
        _check_one(path, arrays[item.name], item)
    return counts.pop()


def _check_one(path: Path, array: Array, item: ArrayInput) -> None:
    if str(array.dtype) != item.dtype:
        raise UsageError(f"{path}: {item.name} is {array.dtype}, the graph takes {item.dtype}.")
    fits = array.ndim == len(item.shape) and all(
        isinstance(want, str) or want == have
        for want, have in zip(item.shape[1:], array.shape[1:], strict=True)
    )
    if not fits or (item.shape[0] != 1 and not isinstance(item.shape[0], str)):
        raise UsageError(
            f"{path}: {item.name} has the shape {list(array.shape)}, the graph takes "
            f"{list(item.shape)} with one example at a time."
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UsageError(f"{path}: {item.name} holds values that are not finite.")


def _named(inputs: ArrayInputs) -> str:
    return ", ".join(f"{item.name} {item.dtype}{list(item.shape)}" for item in inputs.inputs)


def synthetic_feeds(inputs: ArrayInputs, count: int, seed: int) -> tuple[Feed, ...]:
    """Seeded inputs of the declared shapes: normal floats, whole numbers 0 and 1, masks of ones.

    Raises:
        UsageError: the shapes are too large, or of a type that cannot be made up.
    """
    rng = np.random.default_rng(seed)
    shapes = {item.name: _shape(item) for item in inputs.inputs}
    total = count * sum(int(np.prod(shape)) * 8 for shape in shapes.values())
    if total > SYNTHETIC_BYTES_MAX:
        count = max(3, count * SYNTHETIC_BYTES_MAX // total)
    return tuple(
        {item.name: _made_up(item, shapes[item.name], rng) for item in inputs.inputs}
        for _ in range(count)
    )


def _shape(item: ArrayInput) -> tuple[int, ...]:
    if not item.shape:
        return ()
    if isinstance(item.shape[0], int) and item.shape[0] != 1:
        raise UsageError(
            f"The graph's input {item.name} is fixed to batches of {item.shape[0]}; deployopt "
            "measures one example at a time. Export it with a batch of 1 or a named dimension."
        )
    images = len(item.shape) == _IMAGES_RANK and np.dtype(item.dtype).kind in "fu"
    free = FREE_SIDE if images else FREE_LENGTH
    return (1, *(free if isinstance(size, str) else size for size in item.shape[1:]))


def _made_up(item: ArrayInput, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    kind = np.dtype(item.dtype)
    if "mask" in item.name:
        return np.ones(shape, kind)
    if kind.kind == "f":
        return rng.standard_normal(shape).astype(kind)
    if kind.kind in "iub":
        return rng.integers(0, 2, shape).astype(kind)
    raise UsageError(f"Inputs of the type {item.dtype} ({item.name}) cannot be made up. Give data.")
