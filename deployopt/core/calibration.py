"""What a device's operators were measured to reach: the `[calibration]` table of a target.

`deployopt detect --calibrate` writes it; core/additive.py reads times off it.
"""

from typing import Annotated

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.units import Bandwidth, Compute, Duration, Quantity


class Pace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the device reaches in one precision, at the calibration's number of threads.

    `weights` and `activations` are the bytes a second that a product's operands come and go at,
    `elementwise` those of all other operators, `overhead` is what each operator costs besides.
    """

    gemm: Compute
    conv1x1: Compute
    conv3x3: Compute
    conv: Compute
    depthwise: Compute
    weights: Bandwidth
    activations: Bandwidth
    elementwise: Bandwidth
    overhead: Duration
    band: Annotated[float, msgspec.Meta(ge=1, le=100)]
    """Four models of five are within this factor, each predicted without itself."""
    points: Annotated[int, msgspec.Meta(ge=1)]
    """Graphs that were measured for it."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, Quantity) and value < 0:
                raise ValueError(f"{name} must not be negative")
            if isinstance(value, Compute | Bandwidth) and not value:
                raise ValueError(f"{name} must be above zero")


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Written by `deployopt detect --calibrate`; an int8 table where the device ran such graphs."""

    as_of: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^\d{4}-\d{2}-\d{2}$", description='the day it was measured, "2024-08-01"'
        ),
    ]
    runtime: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    """E.g. `onnxruntime 1.27.0, cpu`."""
    threads: Annotated[int, msgspec.Meta(ge=1, le=1024)]
    fp32: Pace
    int8: Pace | None = None

    def pace(self, precision: Precision) -> Pace | None:
        """The table of this precision; None where nothing of it was measured.

        A CPU runs half precision as float; a mixed artifact does most of its work in int8.
        """
        if precision in {Precision.INT8, Precision.MIXED}:
            return self.int8
        return self.fp32 if precision is Precision.FP32 else None
