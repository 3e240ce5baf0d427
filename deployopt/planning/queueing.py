"""What waiting adds where requests come by themselves: one server, Poisson arrivals.

In: the time of one request, arrivals a second. Out: the latency at a quantile, the throughput. The
tail is Cramér and Lundberg's asymptote for constant service times s at load r (Asmussen, Applied
Probability and Queues, XIII.5): P(wait > t) is about C exp(-k t / s), where k > 0 solves
r (exp(k) - 1) = k, and C = (1 - r) / (r exp(k) - 1).
"""

import math
from typing import Final

import msgspec

from deployopt.core.evidence import Estimate

_LEAST_LEFT: Final = 1e-9
_LEAST_LOAD: Final = 1e-6
_HALVINGS: Final = 60


def with_waiting(service: Estimate, arrivals_per_s: float, quantile: float) -> Estimate:
    """`service` (seconds at the quantile, alone) with the waiting behind others.

    Where requests come faster than they are answered it is unbounded.
    """
    return msgspec.structs.replace(
        service,
        value=_latency(service.value, arrivals_per_s, quantile),
        lower=_latency(service.lower, arrivals_per_s, quantile),
        upper=_latency(service.upper, arrivals_per_s, quantile),
        basis=f"{service.basis}; and waiting, at {arrivals_per_s:g} requests a second",
    )


def answered(throughput: Estimate, examples_per_s: float) -> Estimate:
    """Of a throughput that would be possible, what comes: no more than arrives."""
    return msgspec.structs.replace(
        throughput,
        value=min(throughput.value, examples_per_s),
        lower=min(throughput.lower, examples_per_s),
        upper=min(throughput.upper, examples_per_s),
    )


def _latency(service_s: float, arrivals_per_s: float, quantile: float) -> float:
    load = service_s * arrivals_per_s
    if load >= 1.0 - _LEAST_LEFT:
        return math.inf
    if load < _LEAST_LOAD:
        return service_s
    decay = _decay(load)
    share = (1 - load) / (load * math.exp(decay) - 1)
    return service_s * (1 + max(0.0, math.log(share / (1 - quantile)) / decay))


def _decay(load: float) -> float:
    """The positive root k of load (exp(k) - 1) = k, by halving; `load` is below 1."""
    low, high = -math.log(load), 2.0 - 2.0 * math.log(load)
    while load * math.expm1(high) < high:
        high *= 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if load * math.expm1(middle) > middle else (middle, high)
    return high
