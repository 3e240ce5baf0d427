"""Images that are decoded when they are asked for, the last ones kept in memory."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deployopt.core.examples import IMAGE, Example
from deployopt.core.interface import ImageInputs
from deployopt.sources.images import image_reader, read_image

_CACHED_BYTES: Final = 2**29


class ImageList(Sequence[Example]):
    """Images of a folder, decoded when they are asked for."""

    def __init__(
        self, folder: Path, names: Sequence[str], inputs: ImageInputs, resample: int
    ) -> None:
        self._folder = folder
        self._names = names
        self._inputs = inputs
        self._resample = resample
        self._reader = image_reader(folder)
        side = max(inputs.resize or 0, inputs.height, inputs.width)
        kept = max(1, _CACHED_BYTES // (side * side * inputs.channels))
        self._read = functools.lru_cache(maxsize=kept)(self._decode)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, at: int) -> Example:  # type: ignore[override] # no slices are asked for
        return self._read(at)

    def _decode(self, at: int) -> Example:
        path = self._folder / self._names[at]
        return {IMAGE: read_image(path, self._inputs, self._resample, self._reader)}


class Chosen(Sequence[Example]):
    """Some positions of a sequence."""

    def __init__(self, inputs: Sequence[Example], rows: Sequence[int]) -> None:
        self._inputs = inputs
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: int) -> Example:  # type: ignore[override] # as above
        return self._inputs[self._rows[at]]
