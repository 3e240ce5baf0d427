"""What another tool timed, and what the gate says of it: records, in seconds.

A run is one process, read from one file; it stands where a round stands in a measurement of our
own. Nothing is known of its warm-up, its memory or its neighbours.
"""

import msgspec

from deployopt.core.budget import Budget
from deployopt.core.errors import ExitCode
from deployopt.core.verdict import Outcome, Verdict


class Host(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine and Python that a run was timed on, as the other tool says; empty: unknown."""

    cpu: str = ""
    arch: str = ""
    cores: int = 0
    system: str = ""
    kernel: str = ""
    python: str = ""
    node: str = ""
    """Its name in the network: two machines of one kind differ in nothing else."""


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests of one process, in the order they were made."""

    where: str
    """The file."""
    samples_s: tuple[float, ...]


class RunSummary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run in three numbers."""

    where: str
    requests: int
    median_s: float
    worst_s: float


class GatedBenchmark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One benchmark over all runs, judged."""

    name: str
    runs: tuple[RunSummary, ...]
    verdict: Verdict


class GateResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `deployopt gate` judged; the worst benchmark decides."""

    schema_version: int = 1
    tool: str
    """What timed it: `pytest-benchmark` or `samples`."""
    host: Host | None = None
    budgets: tuple[Budget, ...]
    benchmarks: tuple[GatedBenchmark, ...]
    warnings: tuple[str, ...] = ()
    exit_code: int

    @property
    def outcome(self) -> Outcome:
        """Rejected before undecided before accepted."""
        return worst([one.verdict.outcome for one in self.benchmarks])


def worst(outcomes: list[Outcome]) -> Outcome:
    """The outcome of a result whose parts have these; of none, undecided."""
    for outcome in (Outcome.REJECTED, Outcome.UNDECIDED):
        if outcome in outcomes:
            return outcome
    return Outcome.ACCEPTED if outcomes else Outcome.UNDECIDED


def outcome_code(outcome: Outcome) -> ExitCode:
    """What the process returns for it."""
    return {
        Outcome.ACCEPTED: ExitCode.ACCEPTED,
        Outcome.REJECTED: ExitCode.REJECTED,
        Outcome.UNDECIDED: ExitCode.UNDECIDED,
    }[outcome]
