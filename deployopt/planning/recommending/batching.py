"""How many requests at once: the batch with the most throughput that fits and is in time.

In: a candidate and what is wanted. Out: its footing at that batch, with `throughput_per_s` and
`batch_latency_s` beside the predictions of a single request. A CPU, and whoever waits for one
answer, takes one at a time.
"""

from typing import Final

import msgspec

from deployopt.core.evidence import Estimate
from deployopt.core.standing import Standing
from deployopt.planning.predict import throughput_of
from deployopt.planning.recommending.candidate import Candidate, Footing
from deployopt.planning.recommending.looking import footing_at
from deployopt.planning.recommending.setting import on_gpu
from deployopt.planning.recommending.wants import Wants
from deployopt.planning.usable import card_count

_BATCHES: Final = (2, 4, 8, 16, 32, 64)
_WORTH: Final = 1.05
"""Times the throughput of the batch before, below which more at once gain nothing."""


def batched(candidate: Candidate, wants: Wants) -> Footing | None:
    """The advised precision at the batch that pays; one where time for one is all that counts."""
    at = candidate.at
    if at is None or "latency_s" not in at.predicted:
        return at
    best = _with(at, 1, at.predicted["latency_s"], wants)
    if not on_gpu(wants.target) or wants.realtime:
        return best
    for batch in _BATCHES:
        found = _larger(candidate, best, wants, batch)
        if found is None:
            break
        best = found
    return best


def _larger(candidate: Candidate, best: Footing, wants: Wants, batch: int) -> Footing | None:
    if candidate.architecture is None:
        return None
    there = footing_at(candidate.architecture, wants, best.precision, batch)
    time = there.predicted.get("latency_s")
    if time is None or there.standing is not Standing.INSIDE:
        return None
    if wants.time is not None and time.upper > wants.time.seconds:
        return None
    sized = msgspec.structs.replace(
        best, memory=there.memory, devices=there.devices, standing=there.standing
    )
    found = _with(sized, batch, time, wants)
    before = best.predicted["throughput_per_s"].value
    return found if found.predicted["throughput_per_s"].value >= _WORTH * before else None


def _with(at: Footing, batch: int, time: Estimate, wants: Wants) -> Footing:
    copies = card_count(wants.target) // at.devices
    extra = {"throughput_per_s": throughput_of(time, batch, copies)}
    if batch > 1:
        extra["batch_latency_s"] = time
    return msgspec.structs.replace(at, batch=batch, predicted={**at.predicted, **extra})
