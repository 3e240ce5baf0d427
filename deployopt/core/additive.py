"""The additive model of a request's time on a calibrated device.

In: a calibration, a model's operators, a precision. Out: seconds. An operator takes 2 macs / rate +
weight bytes / bandwidth + activation bytes / bandwidth + overhead; their sum is the request's.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from deployopt.core.artifact import Precision
from deployopt.core.calibration import Calibration, Pace
from deployopt.core.plan import Operation

PRODUCTS: Final = ("gemm", "conv1x1", "conv3x3", "conv", "depthwise")
"""The kinds of operators that multiply; the others move values."""
PACES: Final = (*PRODUCTS, "weights", "activations", "elementwise")
"""Fields of a Pace that are rates; `overhead` is seconds."""
_FLOAT_BYTES: Final = 4.0
_INT8_BYTES: Final = 1.0
Work = Mapping[str, float]
"""What there is to do, by field of a Pace: operations, bytes, and under `overhead` operators."""


def calibrated_seconds(
    calibration: Calibration, operations: Sequence[Operation], precision: Precision
) -> float | None:
    """The median request at the calibration's threads; None without that precision's table."""
    pace = calibration.pace(precision)
    if pace is None:
        return None
    floats, integers = work_of(operations, integer=pace is calibration.int8)
    return seconds(floats, calibration.fp32) + seconds(integers, pace)


def work_of(operations: Sequence[Operation], *, integer: bool) -> tuple[Work, Work]:
    """What is done in float, and what in 8 bits.

    Int8 transformers are quantized dynamically: a product without weights, and what only moves
    values, stays float. Int8 convolution nets hold bytes throughout.
    """
    static = is_convolutional(operations)
    floats: dict[str, float] = defaultdict(float)
    integers: dict[str, float] = defaultdict(float)
    for operation in operations:
        if integer and (static or _is_weighted(operation)):
            _add(integers, operation, _INT8_BYTES, _INT8_BYTES if static else _FLOAT_BYTES)
        else:
            _add(floats, operation, _FLOAT_BYTES, _FLOAT_BYTES)
    return floats, integers


def seconds(work: Work, pace: Pace) -> float:
    """How long this work takes at this pace."""
    moved = sum(work.get(name, 0.0) / getattr(pace, name) for name in PACES)
    return float(moved + work.get("overhead", 0.0) * pace.overhead)


def is_convolutional(operations: Iterable[Operation]) -> bool:
    """Whether most of the multiply-adds are convolutions."""
    lot = [(o.kind != "gemm", o.macs * o.count) for o in operations]
    return sum(macs for convolved, macs in lot if convolved) > sum(m for _, m in lot) / 2


def _is_weighted(operation: Operation) -> bool:
    return operation.kind in PRODUCTS and operation.weights > 0


def _add(
    work: dict[str, float], operation: Operation, weight_bytes: float, value_bytes: float
) -> None:
    weights = operation.count * operation.weights * weight_bytes
    values = operation.count * operation.activations * value_bytes
    found = {"overhead": float(operation.count)}
    if operation.kind in PRODUCTS:
        found |= {operation.kind: 2.0 * operation.count * operation.macs}
        found |= {"weights": weights, "activations": values}
    else:
        found |= {"elementwise": weights + values}
    for name, amount in found.items():
        work[name] += amount
