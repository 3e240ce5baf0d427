"""What a command gives back: the records that `--json` prints, reports render and Python returns.

Nothing here is measured or judged; a record holds what the pipeline found, in base units (s, bytes,
share of one). Each top record has a schema version and is complete without the bundle beside it.
"""

from typing import Final

import msgspec

from deployopt.core.answer_settings import SettingSummary
from deployopt.core.artifact import Precision
from deployopt.core.budget import Budget
from deployopt.core.card import CardSummary
from deployopt.core.comparison import Comparison, FailOn
from deployopt.core.engine import EngineSummary
from deployopt.core.evidence import Estimate
from deployopt.core.figure import Figure
from deployopt.core.fit import Fit
from deployopt.core.language_result import GenerationSummary, ScoreSummary
from deployopt.core.measurement import AccuracyTrial, CardConditions, Machine
from deployopt.core.plan import Forecast, Plan
from deployopt.core.recommendation import Recommendation
from deployopt.core.search import SearchResult
from deployopt.core.signature import Authenticity
from deployopt.core.verdict import Outcome, Verdict

SCHEMA_VERSION: Final = 1


class StepResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of a recipe; `reused` when the store had its result."""

    name: str
    seconds: float
    reused: bool = False


class RoundSummary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One round: its median, its quantile at the budget's q, and why it does not count, if so."""

    order: int
    """Its place in time among all rounds of the build, so that interleaving can be seen."""
    requests: int
    median_s: float
    tail_s: float
    void: str | None = None


class LatencySummary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All counted rounds together; the raw samples are in the bundle."""

    quantile: float
    """The budget's q, of which `tail` speaks; 0.95 where no budget names one."""
    median: Figure
    tail: Figure
    rounds: tuple[RoundSummary, ...]
    spread_s: tuple[float, ...] = ()
    """Pooled quantiles at 0, 1, …, 100 %, for a distribution curve."""
    ratio: Figure | None = None
    """Time of this candidate over the float one's, from interleaved rounds; below 1 is faster."""
    load_s: float | None = None
    first_s: float | None = None
    threads: int = 1
    batch: int = 1
    arrivals_per_s: float | None = None
    """Where requests came by themselves; latency then counts their waiting."""
    throughput: Figure | None = None
    """Examples a second, the middle round with the least and the most."""
    energy: Figure | None = None
    """Joules a request by the machine's own counter; None where it has none."""
    card: CardConditions | None = None
    """What the card did in all rounds; None where no card was used."""


class AccuracySummary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A paired trial on one split, and the loss it shows."""

    trial: AccuracyTrial
    loss: Figure


class CandidateResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recipe that was run; everything that a failure left unknown is None."""

    recipe: str
    reason: str
    """Why it was tried."""
    artifact: str | None = None
    precision: Precision | None = None
    steps: tuple[StepResult, ...] = ()
    predicted: dict[str, Estimate] = {}
    """Metric name to what was expected on the target."""
    accuracy: AccuracySummary | None = None
    """On the search split."""
    scores: ScoreSummary | None = None
    """Of a language model, which has accuracy only where it was asked questions with choices."""
    latency: LatencySummary | None = None
    generation: GenerationSummary | None = None
    """Of a language model: what `latency`, of whole answers, is made of."""
    memory: Figure | None = None
    size: Figure | None = None
    failure: str | None = None
    engine: EngineSummary | None = None
    """What was built for a card that is not here; None of what a runtime opens as it is."""
    card: CardSummary | None = None
    """Of a graph for a card, which was not run."""
    chosen: bool = False
    why: str = ""
    """Why it was chosen, or why not."""


class PlanSummary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was expected before anything was built."""

    fits: bool
    fit_reason: str
    forecasts: tuple[Forecast, ...] = ()
    gate_examples: int | None = None
    gate_examples_needed: int | None = None


class DataSummary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The evaluation data; `splits` is split name to examples."""

    name: str
    labelled: bool
    splits: dict[str, int] = {}
    notes: tuple[str, ...] = ()


class StageTime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a stage of the command took."""

    stage: str
    seconds: float


class BuildResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `deployopt build` found, tried, chose and published."""

    schema_version: int = SCHEMA_VERSION
    target: str
    target_title: str = ""
    model: str
    budgets: tuple[Budget, ...]
    plan: PlanSummary
    candidates: tuple[CandidateResult, ...] = ()
    gate: AccuracySummary | None = None
    """The chosen candidate on the gate split, which is used once."""
    gate_scores: ScoreSummary | None = None
    """The same of a language model; it has `gate` too where it was asked questions."""
    settings: tuple[SettingSummary, ...] = ()
    """Of a language model: the chosen candidate by length of prompt and by batch."""
    verdict: Verdict | None = None
    baseline: Comparison | None = None
    """The chosen candidate against an earlier bundle; None where none was named."""
    bundle: str | None = None
    """The folder that was published; None when nothing was."""
    page: str | None = None
    """The HTML report of a rejected build; a bundle holds its own."""
    bundle_digest: str | None = None
    settle: str | None = None
    """The one command that settles what is only predicted here."""
    install: str | None = None
    """What has to be installed there first; None where the small install is enough."""
    machine: Machine
    """What measured."""
    device: str | None = None
    """Its address; None where it is the machine that built."""
    data: DataSummary | None = None
    questions: DataSummary | None = None
    """Questions with choices of a language model; `gate` says what they showed."""
    search: SearchResult | None = None
    """What was tried before the candidates; None where only the plain forms were."""
    stages: tuple[StageTime, ...] = ()
    warnings: tuple[str, ...] = ()
    accept_predicted: bool = False
    exit_code: int

    @property
    def chosen(self) -> CandidateResult | None:
        """The candidate that was judged at the gate."""
        return next((c for c in self.candidates if c.chosen), None)


class LoadFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests of so many examples, one after another, to each of so many copies of the model."""

    batch: int
    copies: int = 1
    """At work at once, each on its own card or cores."""
    latency: LatencySummary | None = None
    """Of a whole request to any of them; `throughput` is theirs together. None where nothing was
    timed."""
    memory: Figure | None = None
    """Of all processes together; of cards the fullest one's."""
    outcome: Outcome | None = None
    """The worst of the latency budgets, each judged as the gate does; None without any, and on
    another machine than the target."""
    reason: str = ""


class BatchSweep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Throughput against batch; answers were judged at the workload's batch alone."""

    figures: tuple[LoadFigures, ...]
    """Sizes from small to large."""
    budgets: tuple[Budget, ...] = ()
    """Of latency, which `largest` keeps; none on another machine than the target."""
    largest: int | None = None
    """The largest batch whose every bound is inside; None where none is, or without a budget."""
    fastest: int | None = None
    """The batch with the most examples a second; None where nothing was timed."""
    left_out: tuple[int, ...] = ()
    """Larger than one that surely missed a budget, or failed."""


class VerifyResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `deployopt verify` measured and judged on this machine."""

    schema_version: int = SCHEMA_VERSION
    bundle: str
    bundle_digest: str
    name: str
    target: str
    authenticity: Authenticity | None = None
    """Who vouches for the bundle; None in what older versions wrote."""
    on_target: bool
    """Whether this machine is the target that the bundle was built for."""
    mismatch: str | None = None
    """Why it is not."""
    budgets: tuple[Budget, ...]
    verdict: Verdict
    machine: Machine
    device: str | None = None
    """The address of the machine that measured; None where it is this one."""
    accuracy: AccuracySummary | None = None
    scores: ScoreSummary | None = None
    latency: LatencySummary | None = None
    generation: GenerationSummary | None = None
    memory: Figure | None = None
    size: Figure | None = None
    batches: BatchSweep | None = None
    copies: LoadFigures | None = None
    predicted: dict[str, Estimate] = {}
    """Metric name to what was expected of the target when it was built."""
    written: str | None = None
    """Where the measurement and the verdict were put."""
    settle: str | None = None
    stages: tuple[StageTime, ...] = ()
    warnings: tuple[str, ...] = ()
    exit_code: int


class CompareResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `deployopt compare` found; both bundles were measured on one machine in one run."""

    schema_version: int = SCHEMA_VERSION
    comparison: Comparison
    fail_on: FailOn = FailOn.UNDECIDED
    stages: tuple[StageTime, ...] = ()
    warnings: tuple[str, ...] = ()
    exit_code: int


class PlanResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `deployopt plan` expects; nothing was built."""

    schema_version: int = SCHEMA_VERSION
    plan: Plan
    warnings: tuple[str, ...] = ()
    exit_code: int


class FitResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `deployopt fit` worked out; nothing was run or downloaded but configs and headers."""

    schema_version: int = SCHEMA_VERSION
    fit: Fit
    exit_code: int


class RecommendResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `deployopt recommend` advises."""

    schema_version: int = SCHEMA_VERSION
    recommendation: Recommendation
    exit_code: int


class ErrorResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What any command prints under `--json` when it ends in an error."""

    schema_version: int = SCHEMA_VERSION
    error: str
    """The kind, e.g. `UsageError`."""
    message: str
    exit_code: int
