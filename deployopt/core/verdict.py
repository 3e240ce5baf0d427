"""The verdict: one check a budget, three outcomes, and the exit code that a script relies on."""

from enum import StrEnum

import msgspec

from deployopt.core.errors import ExitCode
from deployopt.core.evidence import Evidence


class Outcome(StrEnum):
    """accepted: the whole bound is inside; rejected: outside; undecided: neither."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNDECIDED = "undecided"


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One budget judged; values in the metric's base unit (s, bytes, share of one, J).

    `lower` and `upper` are one-sided 95 % bounds of a measurement or the band of a prediction;
    None where there is none. `settle` says what would decide an undecided check.
    """

    metric: str
    limit: float
    outcome: Outcome
    evidence: Evidence | None
    observed: float | None = None
    lower: float | None = None
    upper: float | None = None
    confidence: float | None = None
    samples: int = 0
    reason: str
    settle: str | None = None
    predicted_inside: bool = False
    """Undecided only for want of a measurement on the target, and every prediction inside."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gate says of one artifact on one target."""

    schema_version: int = 1
    target: str
    artifact: str
    outcome: Outcome
    provisional: bool
    """Undecided, and every undecided check's prediction lies inside its budget."""
    checks: tuple[Check, ...]
    reasons: tuple[str, ...] = ()
    """What holds for the whole artifact: a non-finite output, too many void rounds, a warning."""

    def exit_code(self, *, accept_predicted: bool = False) -> ExitCode:
        """0 accepted, 1 rejected, 3 undecided; a provisional verdict is 0 when asked for."""
        if self.outcome is Outcome.ACCEPTED or (self.provisional and accept_predicted):
            return ExitCode.ACCEPTED
        return ExitCode.REJECTED if self.outcome is Outcome.REJECTED else ExitCode.UNDECIDED

    @property
    def word(self) -> str:
        """accepted, rejected, provisional or undecided."""
        return "provisional" if self.provisional else self.outcome.value
