"""The latency of a target that carries its own calibration.

In: a target, a model's operators, a precision. Out: seconds of the median request, the factor that
they are right within, and what they rest on; None where the target was not calibrated for this.
"""

from collections.abc import Sequence

from deployopt.core.additive import calibrated_seconds
from deployopt.core.artifact import Precision
from deployopt.core.plan import Operation
from deployopt.core.target import Target
from deployopt.planning.terms import thread_share


def calibrated_latency(
    target: Target, operations: Sequence[Operation], precision: Precision
) -> tuple[float, float, str] | None:
    """Another number of threads than was calibrated is scaled as threads usually are."""
    known = target.calibration
    pace = None if known is None else known.pace(precision)
    if known is None or pace is None or target.runtime.provider != "cpu":
        return None
    took = calibrated_seconds(known, operations, precision)
    if took is None:
        return None
    cores = target.hardware.cores
    scale = thread_share(known.threads, cores) / thread_share(target.runtime.threads, cores)
    basis = f"calibrated on the device on {known.as_of} ({known.runtime}, {pace.points} graphs)"
    return took * scale, pace.band, basis
