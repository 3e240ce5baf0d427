"""A request of `recommend`, checked and completed: what every model is held against.

In: the request. Out: `Wants`, with one limit on time at most that is said in words. Refuses counts
that no one can mean.
"""

from typing import Final, Literal

import msgspec

from deployopt.core.budget import Budget, merge_budgets
from deployopt.core.errors import UsageError
from deployopt.core.metric import Kind
from deployopt.core.request import RecommendRequest
from deployopt.core.target import Target
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.usual import GENERATION_CONTEXT, READING_TPS, USUAL, Usual

_EXAMPLES_MAX: Final = 10**12
_LENGTH_MAX: Final = 10**7
_REQUESTS_MAX: Final = 10**13
BUILT: Final = frozenset({ModelTask.TEXT_CLASSIFICATION, ModelTask.IMAGE_CLASSIFICATION})
"""Tasks that `build` takes; what it judges by without being asked is in the target's profile."""
_MEDIAN: Final = 0.5

Origin = Literal["asked", "real time", "the target's profile"]


class TimeLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request takes at most `seconds` at `quantile`; `metric` is the budget's name."""

    metric: str
    seconds: float
    quantile: float
    origin: Origin

    @property
    def words(self) -> str:
        """Whose limit it is."""
        return {
            "asked": f"asked for ({self.metric})",
            "real time": "of real time",
            "the target's profile": f"of the target's profile ({self.metric})",
        }[self.origin]


class Wants(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is wanted of a model; tokens for texts, bytes for memory."""

    task: ModelTask
    target: Target
    usual: Usual
    length: int | None
    context: int | None
    """Tokens kept while a text is written."""
    examples: int | None
    realtime: bool
    commercial: bool
    time: TimeLimit | None
    pace_tps: float | None
    """Tokens a second that generated text must reach."""
    budgets: tuple[Budget, ...]
    """Limits on memory, size and energy."""
    trained_length: int | None
    """Tokens that an example is cut at in training."""
    asked: tuple[Budget, ...]
    """As they were asked for, to be passed on."""
    requests_per_day: float | None

    @property
    def strict(self) -> bool | None:
        """Whether what is surely late will not do; None where time has no limit."""
        if self.time is None:
            return None if self.pace_tps is None else True
        return self.time.origin != "the target's profile"


def read_wants(request: RecommendRequest) -> Wants:
    """The request with the task's usual sizes where nothing was said.

    Raises:
        UsageError: a count that is negative, zero or absurd.
    """
    _check("--examples", request.examples, _EXAMPLES_MAX)
    _check("--length", request.length, _LENGTH_MAX)
    _check("--requests-per-day", request.requests_per_day, _REQUESTS_MAX)
    usual = USUAL[request.task]
    if request.length is not None and usual.length is None:
        raise UsageError(
            f"--length counts the tokens of a text, and {request.task} reads none. Leave it out."
        )
    length = request.length or usual.length
    budgets = _budgets(request)
    return Wants(
        task=request.task,
        target=request.target,
        usual=usual,
        length=length,
        context=_context(request.task, length, usual.answer),
        examples=request.examples,
        realtime=request.realtime,
        commercial=request.commercial,
        time=_time_limit(request, budgets, usual),
        pace_tps=_pace(request, usual),
        budgets=tuple(b for b in budgets if b.definition.kind in _OTHERS),
        trained_length=request.length or usual.trained or usual.length,
        asked=request.budgets,
        requests_per_day=request.requests_per_day,
    )


_OTHERS: Final = frozenset({Kind.MEMORY, Kind.SIZE, Kind.ENERGY})


def _budgets(request: RecommendRequest) -> tuple[Budget, ...]:
    """The profile's budgets count where `build` would hold the model to them."""
    if request.task in BUILT and request.target.runtime.provider == "cpu":
        return merge_budgets(request.target.limits, request.budgets)
    return request.budgets


def _time_limit(
    request: RecommendRequest, budgets: tuple[Budget, ...], usual: Usual
) -> TimeLimit | None:
    asked = _tightest(request.budgets)
    if asked is not None:
        return asked
    if request.realtime:
        if usual.answer and usual.kind == "text":
            return None
        return TimeLimit(
            metric="latency_p50", seconds=usual.wait_s, quantile=_MEDIAN, origin="real time"
        )
    found = _tightest(budgets)
    return found and msgspec.structs.replace(found, origin="the target's profile")


def _tightest(budgets: tuple[Budget, ...]) -> TimeLimit | None:
    limits = [
        TimeLimit(metric=b.metric, seconds=b.limit, quantile=quantile, origin="asked")
        for b in budgets
        if (quantile := b.definition.quantile) is not None
    ]
    return min(limits, key=lambda limit: (limit.seconds, -limit.quantile), default=None)


def _pace(request: RecommendRequest, usual: Usual) -> float | None:
    """Reading speed for text that a person waits for, unless a latency was asked for."""
    waits = request.realtime and usual.answer and usual.kind == "text"
    return READING_TPS if waits and _tightest(request.budgets) is None else None


def _context(task: ModelTask, length: int | None, answer: int) -> int | None:
    if not answer:
        return length
    if task is ModelTask.TEXT_GENERATION:
        return max(GENERATION_CONTEXT, (length or 0) + answer)
    return (length or 0) + answer


def _check(option: str, value: float | None, most: float) -> None:
    if value is None:
        return
    if not 0 < value <= most:
        raise UsageError(
            f"{option} is {value:g}. Give a number between 1 and {most:.0e}, or leave it out."
        )
