"""A matrix: many builds of one call, each a cell with its request, its result and its exit code.

What travels to whoever builds a cell is a CellRequest as JSON; what comes back is a CellResult.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.budget import Budget
from deployopt.core.errors import DeployoptError, ExitCode
from deployopt.core.evidence import Estimate
from deployopt.core.figure import Figure
from deployopt.core.fleet import Board
from deployopt.core.metric import METRICS
from deployopt.core.search import Effort
from deployopt.core.target import Target
from deployopt.core.units import show_quantity
from deployopt.core.verdict import Check, Outcome, Verdict

SCHEMA_VERSION: Final = 1


class Word(StrEnum):
    """What became of a cell; the first four are a verdict's words."""

    ACCEPTED = "accepted"
    PROVISIONAL = "provisional"
    UNDECIDED = "undecided"
    REJECTED = "rejected"
    FAILED = "failed"


class CellName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which cell, by the names of the matrix's file."""

    model: str
    target: str
    variant: str | None = None

    @property
    def id(self) -> str:
        """The name of its bundle: `MODEL-TARGET`, or `MODEL-TARGET-VARIANT`."""
        return "-".join(part for part in (self.model, self.target, self.variant) if part)


class CellRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is needed to build a cell elsewhere; paths are absolute."""

    name: CellName
    key: str
    """Digests of everything that its result follows from."""
    model: str
    target: Target
    budgets: tuple[Budget, ...]
    data: str | None = None
    columns: dict[str, str] = {}
    questions: str | None = None
    labels: str | None = None
    """A file of those that an image-text model chooses among."""
    train_data: str | None = None
    unlabelled: str | None = None
    effort: Effort | None = None
    time_limit_s: float | None = None
    accept_predicted: bool = False
    unsafe_load_pickle: bool = False
    lock: str | None = None
    runtime: str | None = None
    seed: int = 0
    device: str | None = None
    pool: str | None = None
    """The kind of the fleet's boards that measure it."""
    boards: tuple[Board, ...] = ()
    """Of these, all alike, one measures it; filled in when it begins."""
    output: str
    """The folder of an accepted bundle; others get a word behind its name."""
    store: str
    share: str | None = None
    """A place by URL, reached before, where steps' results are exchanged with other machines."""
    leases: str | None = None
    """The folder of the building machine's leases; None: where the store has them."""
    places: dict[str, str] = {}
    """Of paths that are not where they say on the node: where they lie there."""
    memory_bytes: int
    """Predicted for the build, beside what measuring takes."""
    expected_s: float | None = None
    """Wall seconds that the plan expects of the build; None where it does not say."""


class CellStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of one recipe as a cell went through it."""

    recipe: str
    name: str
    seconds: float
    reused: bool = False
    """The store or the share had its result, or another cell made it while this one waited."""


class CellResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of a cell; names of files are relative to the matrix's folder."""

    name: CellName
    key: str
    word: Word
    exit_code: int
    recipe: str | None = None
    """Of the candidate that was judged."""
    precision: Precision | None = None
    figures: dict[str, Figure] = {}
    """By metric, in base units: what the verdict rests on, and the size in any case."""
    foreseen: dict[str, Estimate] = {}
    """By metric: what was predicted of the target for the recipe that was judged."""
    verdict: Verdict | None = None
    bundle: str | None = None
    bundle_digest: str | None = None
    page: str | None = None
    settle: str | None = None
    error: str | None = None
    """Why there is no verdict, in one paragraph."""
    error_kind: str | None = None
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    waited_s: float = 0.0
    """Of these, for the machine to be alone on it."""
    steps_made: int = 0
    steps_reused: int = 0
    """Steps that the store had already, or that another cell made at the same time."""
    steps: tuple[CellStep, ...] = ()
    attempts: int = 1
    node: str | None = None
    """Of the cluster, on which it was built."""
    device: str | None = None
    """Of the fleet, by which it was measured."""
    reused: bool = False
    """Found from an earlier call: nothing was built and nothing was measured."""

    @property
    def summary(self) -> str:
        """Why it is what it is, in a sentence."""
        if self.error is not None:
            return self.error
        if self.verdict is None:
            return ""
        rejected = [c for c in self.verdict.checks if c.outcome is Outcome.REJECTED]
        undecided = [c for c in self.verdict.checks if c.outcome is Outcome.UNDECIDED]
        # What is open besides is nobody's question where a budget is missed for certain.
        said = map(_check_words, rejected or undecided)
        return "; ".join([*self.verdict.reasons, *said])


def _check_words(check: Check) -> str:
    metric = check.metric.replace("_", " ")
    known = METRICS.get(check.metric)
    if check.outcome is not Outcome.REJECTED or check.observed is None or known is None:
        return f"{metric}: {check.reason}"
    found, limit = (show_quantity(v, known.dimension) for v in (check.observed, check.limit))
    return f"{metric}: {found}, and the budget is {known.sign} {limit} ({check.reason})"


def failed(
    request: CellRequest,
    error: DeployoptError,
    *,
    seconds: float = 0.0,
    waited_s: float = 0.0,
    attempts: int = 1,
) -> CellResult:
    """The result of a cell that came to no verdict; one that cannot fit is rejected."""
    code = int(error.exit_code)
    return CellResult(
        name=request.name,
        key=request.key,
        word=Word.REJECTED if code == ExitCode.REJECTED else Word.FAILED,
        exit_code=code,
        error=str(error),
        error_kind=type(error).__name__,
        seconds=round(seconds, 3),
        waited_s=round(waited_s, 3),
        attempts=attempts,
    )


class MatrixResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `deployopt matrix` found, cell by cell in the order of the file."""

    schema_version: int = SCHEMA_VERSION
    file: str | None = None
    """None where the cells are the targets of one `deployopt build`."""
    output: str
    page: str | None = None
    """The HTML page with the heat map."""
    executor: str
    jobs: int
    cells: tuple[CellResult, ...]
    total: int = 0
    """All cells; of very many, `cells` holds the foremost and the log beside it all of them."""
    counts: dict[str, int] = {}
    """Of all cells, by word; words that no cell has are left out."""
    steps_made: int = 0
    steps_reused: int = 0
    """Of the cells that this call built."""
    reused: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    exit_code: int


class MatrixWatcher(Protocol):
    """Told what runs where, in order, from one thread; it never raises and decides nothing."""

    def planned(self, total: int, reused: int, expected_s: Sequence[float | None] = ()) -> None:
        """So many cells in all, so many of which need nothing; what is expected of the others."""

    def began(self, cell: str, where: str = "") -> None:
        """Somebody works on it now; `where` is a node or a device, empty for this machine."""

    def stage(self, cell: str, name: str, *, quiet: bool) -> None:
        """It came to this stage; `quiet`: something is timed, so the watcher must be still."""

    def advance(self, cell: str, share: float, words: str) -> None:
        """A share of the stage is done."""

    def note(self, cell: str, text: str) -> None:
        """One sentence that stays on the screen."""

    def ended(self, result: CellResult) -> None:
        """It is done."""

    def load(self, used_bytes: int, admitted_bytes: int) -> None:
        """Memory that the cells which run have in use, and what was admitted for them."""

    def tick(self) -> None:
        """Time has passed; a watcher may draw if nothing is quiet."""


class _Silent:
    """No one is watching."""

    def planned(self, total: int, reused: int, expected_s: Sequence[float | None] = ()) -> None:
        pass

    def began(self, cell: str, where: str = "") -> None:
        pass

    def stage(self, cell: str, name: str, *, quiet: bool) -> None:
        pass

    def advance(self, cell: str, share: float, words: str) -> None:
        pass

    def note(self, cell: str, text: str) -> None:
        pass

    def ended(self, result: CellResult) -> None:
        pass

    def load(self, used_bytes: int, admitted_bytes: int) -> None:
        pass

    def tick(self) -> None:
        pass


NOBODY: Final[MatrixWatcher] = _Silent()

_WORST_FIRST: Final = (
    ExitCode.INTEGRITY,
    ExitCode.FAILED,
    ExitCode.USAGE,
    ExitCode.REJECTED,
    ExitCode.UNDECIDED,
    ExitCode.ACCEPTED,
)


def worst(codes: Iterable[int]) -> ExitCode:
    """The exit code of all cells together: what a script most needs to know of."""
    # One that is none of these is no success.
    found = {code if code in _WORST_FIRST else ExitCode.FAILED for code in codes}
    return next((code for code in _WORST_FIRST if code in found), ExitCode.ACCEPTED)


def foremost_cells(cells: Sequence[CellResult], most: int) -> list[CellResult]:
    """At most so many, in their order: what is not accepted is left out last."""
    if len(cells) <= most:
        return list(cells)
    by_need = sorted(range(len(cells)), key=lambda at: (cells[at].exit_code == 0, at))
    return [cells[at] for at in sorted(by_need[:most])]
