"""The sizes that are taken where a graph leaves them open and nobody says them.

In: a graph's inputs. Out: a shape each, and a sentence that names every size that was assumed.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from deployopt.core.interface import ArrayInput

SIDE: Final = 224
LENGTH: Final = 128
_IMAGE_RANK: Final = 4
_CHANNELS_MAX: Final = 4
_SIDES: Final = ("height", "width", "side", "size", "pixel")
_LENGTHS: Final = ("seq", "len", "token", "position")


def assumed_shapes(inputs: Sequence[ArrayInput]) -> tuple[Mapping[str, tuple[int, ...]], str]:
    """Shapes by input name, and what was assumed, empty where nothing was.

    A batch is 1, a side of an image 224, a text 128 tokens, anything else 1. The same name is the
    same size everywhere.
    """
    sizes: dict[str, int] = {}
    for one in inputs:
        for at, name in enumerate(one.shape):
            if isinstance(name, str):
                sizes[name] = max(sizes.get(name, 1), _size(one, at, name))
    shapes = {
        one.name: tuple(sizes[size] if isinstance(size, str) else size for size in one.shape)
        for one in inputs
    }
    if not sizes:
        return shapes, ""
    said = ", ".join(f"{name} {size}" for name, size in sorted(sizes.items()))
    return shapes, f"The graph leaves sizes open; assumed are {said}."


def _size(one: ArrayInput, at: int, name: str) -> int:
    if at == 0:
        return 1
    plain = name.casefold()
    if len(one.shape) == _IMAGE_RANK:
        return SIDE if at in _sides(one.shape) else 1
    if any(word in plain for word in _LENGTHS) or (at == 1 and one.dtype.startswith("int")):
        return LENGTH
    return SIDE if any(word in plain for word in _SIDES) else 1


def _sides(shape: Sequence[int | str]) -> tuple[int, int]:
    """Where the height and the width stand: last, or before the channels."""
    last = shape[-1]
    return (1, 2) if isinstance(last, int) and 1 <= last <= _CHANNELS_MAX else (2, 3)
