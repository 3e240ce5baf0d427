"""Parts added up, and the band around the sum.

The band is a share of what is computed, plus what a CUDA context may take more or less. Its lower
end never goes below what must be there: weights are there whatever else is, and so are the states
of an optimizer.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from deployopt.core.evidence import Estimate
from deployopt.core.memory import MemoryNeed, Part

COVERAGE: Final = 0.9
INFERENCE_BAND: Final = 0.15
TRAINING_BAND: Final = 0.25

CUDA_CONTEXT_BYTES: Final = 0.9e9
CUDA_CONTEXT_BAND: Final = 0.5e9
PROCESS_BAND: Final = 40e6
RUNTIME: Final = "runtime"

# A config alone may miss or double a table, and many write GB where they mean GiB: 7 %.
_SURE_WEIGHTS: Final = 0.93
_WEIGHTS: Final = frozenset({"weights", "embeddings and head", "adapter"})
# 16 bytes a parameter in one trainer are 18 in another.
_SURE_STATES: Final = 0.85
_STATES: Final = frozenset({"master weights", "gradients", "optimizer"})


def memory_need(
    parts: Iterable[Part], share: float, basis: str, *, runtime_band: float
) -> MemoryNeed:
    """The parts that are not empty, their sum, and a band of +- `share` around it.

    `runtime_band` is the runtime's own, in bytes.
    """
    held = tuple(part for part in parts if part.bytes > 0)
    value = sum(part.bytes for part in held)
    runtime = sum(part.bytes for part in held if part.name == RUNTIME)
    width = share * (value - runtime) + runtime_band
    total = Estimate(
        value=value,
        lower=max(0.0, value - width, _surely(held)),
        upper=value + width,
        coverage=COVERAGE,
        basis=basis,
    )
    return MemoryNeed(parts=held, total=total)


def reaching_to(need: MemoryNeed, *others: MemoryNeed) -> MemoryNeed:
    """The same need with a band that holds the others' too, where nothing decides between."""
    totals = (need.total, *(other.total for other in others))
    total = msgspec.structs.replace(
        need.total,
        lower=min(total.lower for total in totals),
        upper=max(total.upper for total in totals),
    )
    return msgspec.structs.replace(need, total=total)


def _surely(parts: tuple[Part, ...]) -> float:
    weights = sum(part.bytes for part in parts if part.name in _WEIGHTS)
    states = sum(part.bytes for part in parts if part.name in _STATES)
    return _SURE_WEIGHTS * weights + _SURE_STATES * states
