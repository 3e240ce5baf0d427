"""The settings of a pipeline as the device reads them, strictly, and the files beside them."""

from pathlib import Path
from typing import Final

from deployopt.core.codec import decode_json
from deployopt.core.drawing import GRAPHS, SETTINGS, Drawing
from deployopt.core.errors import IntegrityError
from deployopt.store.faults import storage_errors

_SETTINGS_MAX: Final = 2**20
_EXTERNAL: Final = ".data"


def is_pipeline(model: Path) -> bool:
    """Whether the file that is opened is the settings of a pipeline."""
    return model.name == SETTINGS


def graph_files(model: Path) -> tuple[Path, ...]:
    """The graphs beside the settings, and the data files beside them."""
    names = (name + end for name in GRAPHS for end in ("", _EXTERNAL))
    return tuple(path for name in names if (path := model.with_name(name)).is_file())


def read_drawing(path: Path) -> Drawing:
    """The settings of a pipeline.

    Raises:
        IntegrityError: the file is not there or not of this form.
    """
    with storage_errors("reading the pipeline", path):
        try:
            data = path.read_bytes() if path.stat().st_size <= _SETTINGS_MAX else b""
        except FileNotFoundError as error:
            raise IntegrityError(f"{path} is not there. Build the bundle again.") from error
    return decode_json(data, Drawing, where=str(path))
