"""The graphs that a calibration times: tiny ONNX files beside this one, and their operators.

`python -m tools.make_calibration_models` writes both. An operator's graph repeats one kind of
operator at one size; a whole model mixes them, and tells how far the fit is off.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.codec import decode_json
from deployopt.core.plan import Operation

DATA: Final = Path(__file__).parent / "data"
TABLE: Final = "calibration.json"


class CalibrationGraph(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file; `operations` are the float form's, whatever the precision.

    Its input is `x`, floats of this shape.
    """

    name: str
    shape: tuple[int, ...]
    precision: Precision
    whole: bool
    operations: tuple[Operation, ...]

    @property
    def file(self) -> str:
        """Its name in the folder."""
        return f"{self.name}-{self.precision}.onnx"

    @property
    def path(self) -> Path:
        """Where it lies."""
        return DATA / self.file


def calibration_graphs() -> tuple[CalibrationGraph, ...]:
    """All of them, in the order in which they are timed."""
    return decode_json(
        (DATA / TABLE).read_bytes(), tuple[CalibrationGraph, ...], where=str(DATA / TABLE)
    )
