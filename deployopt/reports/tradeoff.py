"""What the Pareto plot of a build shows: time against loss of every candidate.

Of a classifier that is the latency at the budget's quantile and the accuracy lost; of a language
model the time a token after the first and the increase of the NLL. In: a build. Out: points in ms
and hundredths, of the target and, where that is predicted only, of the machine that built.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeAlias

from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.figure import Figure
from deployopt.core.metric import METRICS, Kind
from deployopt.core.result import BuildResult, CandidateResult
from deployopt.reports.cells import generates
from deployopt.reports.pareto import Point
from deployopt.reports.words import loss_words, tail_word

_MS: Final = 1e3
_HUNDREDTHS: Final = 1e2
Reach: TypeAlias = tuple[float, float | None, float | None]


class Tradeoff(NamedTuple):
    """Axes, and how a candidate's time and loss are found; times in seconds, losses of one."""

    titles: tuple[str, str]
    units: tuple[str, str]
    kinds: tuple[Kind, Kind]
    time: Callable[[CandidateResult], Figure | None]
    loss: Callable[[CandidateResult], Figure | None]
    seconds: Callable[[float], float]
    """From a budget's or a prediction's unit."""


def tradeoff_of(result: BuildResult) -> Tradeoff | None:
    """None where no candidate has a loss to show."""
    if generates(result.candidates):
        return Tradeoff(
            titles=("time a token after the first (ms)", "increase of the NLL (%)"),
            units=("ms", "%"),
            kinds=(Kind.DECODE, Kind.SCORE),
            time=_token_time,
            loss=lambda item: None if item.scores is None else item.scores.increase,
            seconds=lambda rate: 1.0 / rate,
        )
    losses = [c.accuracy for c in result.candidates if c.accuracy is not None]
    if not losses:
        return None
    tail = next((tail_word(c.latency) for c in result.candidates if c.latency), "")
    return Tradeoff(
        titles=(f"latency {tail} (ms)", f"{loss_words(losses[0])} (pt)"),
        units=("ms", "pt"),
        kinds=(Kind.LATENCY, Kind.ACCURACY),
        time=lambda item: None if item.latency is None else item.latency.tail,
        loss=lambda item: None if item.accuracy is None else item.accuracy.loss,
        seconds=float,
    )


def measured_points(result: BuildResult, way: Tradeoff) -> list[Point]:
    """Those whose time was measured, wherever."""
    found = ((series, item, way.time(item)) for series, item in enumerate(result.candidates))
    return list(_points(way, ((k, item, _reach(f)) for k, item, f in found if f is not None)))


def predicted_points(result: BuildResult, way: Tradeoff) -> list[Point]:
    """Those whose time on the target was predicted."""
    found = ((k, item, _expected(item, way)) for k, item in enumerate(result.candidates))
    return list(_points(way, ((k, item, reach) for k, item, reach in found if reach is not None)))


def limits_of(result: BuildResult, way: Tradeoff) -> tuple[float | None, float | None]:
    """The budgets on both, in the units of the points."""
    found = {b.definition.kind: b.limit for b in reversed(result.budgets)}
    time, loss = (found.get(kind) for kind in way.kinds)
    return (
        None if time is None else way.seconds(time) * _MS,
        None if loss is None else loss * _HUNDREDTHS,
    )


def measured_at_home(result: BuildResult, way: Tradeoff) -> bool:
    """Whether a time was measured on the target."""
    times = (way.time(item) for item in result.candidates)
    return any(one is not None and one.evidence is Evidence.TARGET for one in times)


def _token_time(item: CandidateResult) -> Figure | None:
    """The other way round of tokens a second, its bounds too."""
    rate = None if item.generation is None else item.generation.decode_tps
    if rate is None or not rate.value:
        return None
    return Figure(
        value=1.0 / rate.value,
        lower=1.0 / rate.upper if rate.upper else None,
        upper=1.0 / rate.lower if rate.lower else None,
        confidence=rate.confidence,
        samples=rate.samples,
        evidence=rate.evidence,
    )


def _expected(item: CandidateResult, way: Tradeoff) -> Reach | None:
    kind = way.kinds[0]
    named = (e for m, e in item.predicted.items() if m in METRICS and METRICS[m].kind is kind)
    found: Estimate | None = next(named, None)
    if found is None or min(found.value, found.lower, found.upper) <= 0:
        return None
    low, high = sorted((way.seconds(found.lower), way.seconds(found.upper)))
    return way.seconds(found.value), low, high


def _reach(figure: Figure) -> Reach | None:
    return None if figure.value is None else (figure.value, figure.lower, figure.upper)


def _points(
    way: Tradeoff, found: "Iterator[tuple[int, CandidateResult, Reach | None]]"
) -> Iterator[Point]:
    for series, item, seconds in found:
        loss = way.loss(item)
        if seconds is None or loss is None:
            continue
        yield Point(
            name=item.recipe,
            series=series,
            x=_scaled(seconds, _MS),
            y=_scaled((loss.value or 0.0, loss.lower, loss.upper), _HUNDREDTHS),
            chosen=item.chosen,
        )


def _scaled(values: Reach, factor: float) -> Reach:
    value, lower, upper = values
    return (
        value * factor,
        None if lower is None else lower * factor,
        None if upper is None else upper * factor,
    )
