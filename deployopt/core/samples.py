"""Model inputs as one npz file: a list of examples, each a mapping of input name to array.

Used for calibration and for checking an export, so that steps need no tokenizer and no labels.
Numpy is imported where arrays are read and written: a plan, which only names them, starts without.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from deployopt.core.errors import RefusedInputError

if TYPE_CHECKING:
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[Any]
else:
    Array = Any
Feed: TypeAlias = Mapping[str, Array]
"""One request: input name to array, the batch dimension first."""

_EPOCH = (1980, 1, 1, 0, 0, 0)


def encode_samples(feeds: Sequence[Feed]) -> bytes:
    """The npz bytes; the same feeds give the same bytes."""
    import numpy as np

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for index, feed in enumerate(feeds):
            for name in sorted(feed):
                entry = io.BytesIO()
                np.lib.format.write_array(
                    entry, np.asarray(feed[name], order="C"), allow_pickle=False
                )
                archive.writestr(
                    zipfile.ZipInfo(f"{index:06d}/{name}.npy", _EPOCH), entry.getvalue()
                )
    return buffer.getvalue()


def decode_samples(path: Path) -> list[dict[str, Array]]:
    """The feeds in order.

    Raises:
        RefusedInputError: not such a file, or an array of objects.
    """
    import numpy as np

    feeds: dict[int, dict[str, Array]] = {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for key in archive.files:
                index, _, name = key.partition("/")
                feeds.setdefault(int(index), {})[name] = archive[key]
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise RefusedInputError(f"{path} is not a file of samples: {error}.") from error
    return [feeds[i] for i in sorted(feeds)]
