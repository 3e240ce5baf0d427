"""One model of the catalogue as it would stand on the target, before it is ranked.

The record between looking (`looking.py`) and ranking (`ranking.py`): arithmetic filled it, nothing
was run. `refusal` is set where the model will not do, with the number that says so.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.catalogue.models import Entry, Quality
from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.evidence import Estimate
from deployopt.core.memory import MemoryNeed
from deployopt.core.standing import Standing
from deployopt.planning.recommending.quality import points

RANK: Final[Mapping[Standing, int]] = {
    Standing.INSIDE: 0,
    Standing.UNSETTLED: 1,
    Standing.OUTSIDE: 2,
}
"""Of a standing, the best first."""


class Footing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model at one precision; `predicted` lacks what cannot be predicted."""

    precision: Precision
    batch: int = 1
    memory: MemoryNeed
    standing: Standing
    """Of the memory, of one device."""
    predicted: dict[str, Estimate] = {}
    within: Standing | None = None
    """Of the time against its limit; None without a limit or a prediction."""
    devices: int = 1
    """GPUs that the model is split over."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """`footings` are all precisions that were looked at; `at` is the one that is advised."""

    entry: Entry
    architecture: Architecture | None = None
    quality: Quality | None = None
    """On the yardstick that the candidates are compared by."""
    at: Footing | None = None
    footings: tuple[Footing, ...] = ()
    refusal: str = ""

    @property
    def points(self) -> float | None:
        """Of quality; None where nothing is published on the yardstick."""
        return points(self.quality)

    @property
    def time_s(self) -> float | None:
        """Seconds a request, the middle of the band."""
        found = self.at and self.at.predicted.get("latency_s")
        return found.value if found else None
