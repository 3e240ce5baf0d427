"""A bundle held against another one: what changed, by how much, and whether it is a regression.

Records in base units. What is compared was measured on one machine in one run, never taken from
what was measured elsewhere or before.
"""

from enum import StrEnum
from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.errors import ExitCode
from deployopt.core.evidence import Evidence
from deployopt.core.measurement import Machine
from deployopt.core.verdict import Outcome

LATENCY: Final = "latency_p50"
FIRST_TOKEN: Final = "ttft_p50"  # noqa: S105 -- a time
DECODE: Final = "decode_tps"
NLL: Final = "nll_increase"
AGREEMENT: Final = "agreement"
MEMORY: Final = "memory_peak"
FULL_CONTEXT: Final = "memory_full_context"
ACCURACY: Final = "accuracy"
SIZE: Final = "artifact_size"
PRECISION: Final = "precision"
OPERATORS: Final = "operators"
"""What is compared: a metric's name where there is one."""


class Change(StrEnum):
    """What became of one aspect; the first four rest on an interval, the last two on the files."""

    BETTER = "better"  # the whole bound is below no change
    NO_WORSE = "no worse"  # the whole bound is within the margin
    REGRESSED = "regressed"  # the whole bound is over the margin
    UNDECIDED = "undecided"
    SAME = "same"
    CHANGED = "changed"  # told, and judged by what it brings in the other aspects


class FailOn(StrEnum):
    """What a script is stopped by."""

    UNDECIDED = "undecided"
    REGRESSION = "regression"


class Margins(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much worse is no regression yet: shares of the old figure, a share of the examples."""

    cost: float = 0.05
    """Of times, memory and size."""
    accuracy: float = 0.01
    nll: float = 0.02
    """Of a language model: how much the mean negative log-likelihood a token may rise."""


class Compared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the two."""

    name: str
    bundle: str | None
    """Its folder; None for an artifact that is not published yet."""
    artifact: str
    target: str
    outcome: str
    """What its own verdict says."""
    precision: Precision
    runtime: str
    size_bytes: int


class Difference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One aspect of the new one against the old one.

    `old` and `new` are in the metric's base unit, accuracy as the share right. `change` is
    new / old - 1, of accuracy the share lost, of `decode_tps` the change of the time a token; of
    `agreement` it is the share of tokens that the two would choose differently. `lower` and `upper`
    are its one-sided bounds, and `limit` the most that is no regression. Precision and operators
    are told in words.
    """

    aspect: str
    outcome: Change
    old: float | None = None
    new: float | None = None
    old_words: str | None = None
    new_words: str | None = None
    change: float | None = None
    lower: float | None = None
    upper: float | None = None
    limit: float | None = None
    confidence: float | None = None
    samples: int = 0
    evidence: Evidence
    reason: str = ""
    settle: str | None = None


class RoundPair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One interleaved round: medians in seconds, peaks in bytes; why it does not count, if so.

    A peak is None where a card does not tell it.
    """

    old_s: float
    new_s: float
    old_peak_bytes: int | None
    new_peak_bytes: int | None
    void: str | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was found; accepted where nothing is worse than its margin allows."""

    old: Compared
    new: Compared
    outcome: Outcome
    differences: tuple[Difference, ...]
    reasons: tuple[str, ...] = ()
    """What holds for the whole: the new one crashed, its outputs are not finite."""
    notes: tuple[str, ...] = ()
    """What a reader has to know: other examples, another target."""
    margins: Margins
    machine: Machine
    where: str
    mismatch: str | None = None
    """Why the machine is not the target; None where it is."""
    rounds: tuple[RoundPair, ...] = ()

    def exit_code(self, fail_on: FailOn = FailOn.UNDECIDED) -> ExitCode:
        """0 accepted, 1 rejected, 3 undecided; 0 for undecided too where only regressions fail."""
        if self.outcome is Outcome.REJECTED:
            return ExitCode.REJECTED
        if self.outcome is Outcome.ACCEPTED or fail_on is FailOn.REGRESSION:
            return ExitCode.ACCEPTED
        return ExitCode.UNDECIDED
