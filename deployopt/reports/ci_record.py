"""What a CI service is told of a result: the record that every rendering for one rests on.

A summary has one case a budget, or an aspect compared; every text is safe and on one line, figures
are in base units.
"""

from typing import Final

import msgspec

from deployopt.core.units import Dimension

ACCEPTED: Final = "accepted"
PROVISIONAL: Final = "provisional"
REJECTED: Final = "rejected"
UNDECIDED: Final = "undecided"
UNIT_NAMES: Final = {
    Dimension.TIME: "seconds",
    Dimension.SIZE: "bytes",
    Dimension.SHARE: "ratio",
    Dimension.ENERGY: "joules",
    Dimension.RATE: "per_second",
    Dimension.PERCENT: "ratio",
    Dimension.TOKEN_RATE: "per_second",
}
"""As OpenMetrics calls the base units."""


class CiFigure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number in `unit`; `name` is empty for what was observed, else `upper` or `limit`."""

    name: str = ""
    unit: str
    value: float


class CiCase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that was judged; `word` is accepted, rejected, undecided or provisional."""

    name: str
    """Stands for the budget in metrics and fingerprints: `latency_p95`."""
    group: str = ""
    """Which of several things of one kind it is of, such as a benchmark's name."""
    title: str
    """As a person reads it: `latency p95 ≤ 60 ms`."""
    word: str
    message: str = ""
    details: tuple[str, ...] = ()
    figures: tuple[CiFigure, ...] = ()


class CiSummary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A result: what was judged, each case, and what the process returns."""

    name: str
    target: str
    word: str
    exit_code: int
    says: str
    """The whole verdict, in a sentence."""
    cases: tuple[CiCase, ...]
    facts: tuple[tuple[str, str], ...] = ()
    """(name, sentence) of what else was found, such as what a search tried."""
    bundle: str | None = None
    seconds: float = 0.0

    def stopped_by(self, case: CiCase) -> bool:
        """Whether the case keeps the result from being accepted, or taken as it is."""
        taken = case.word in {PROVISIONAL, UNDECIDED} and self.exit_code == 0
        return case.word != ACCEPTED and not taken
