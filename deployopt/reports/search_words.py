"""The words and figures of a search that every rendering shares.

In: what a build found. Out: short text for a person, long lists in the order in which they are
read: rung after rung with the best first, the fastest shape first.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final

from deployopt.core.result import BuildResult
from deployopt.core.search import LayerError, SearchResult, TimedShape, TrainedShape
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.words import (
    NOTHING,
    plural,
    show,
    show_bounds,
    show_count,
    show_duration,
    show_times,
    show_times_bounds,
)

_VERDICTS: Final = 4
_ACCURACY: Final = "accuracy_drop"
_POWERS: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
OUTCOMES: Final[dict[str, str]] = {
    "chosen": "the one that was judged at the gate",
    "finalist": "was measured in full",
    "promoted": "was trained on",
    "over budget": "loses more than the budget, with its whole bound",
    "beaten": "others did better on its rung",
    "failed": "its training or its export failed",
}
"""What became of a training, and what that means."""


def search_facts(result: BuildResult, search: SearchResult) -> Iterator[tuple[str, str]]:
    """(name, sentence) of everything that is a count: effort, material, shapes, trainings."""
    yield "Effort", effort_words(search)
    if search.train_data:
        yield "Learned", learned_words(search)
    if search.shapes:
        yield "Timed", timed_words(search.shapes)
    if search.trainings:
        yield "Trained", trained_words(result, search)
    if search.layers:
        kept = sum(layer.kept_float for layer in search.layers)
        ranked = f"{plural(len(search.layers), 'layer')} by what quantizing each alone changes"
        yield "Ranked", f"{ranked}; {kept} kept in float" if kept else f"{ranked}; none kept float"
    if search.front:
        yield "Front", " · ".join(search.front)


def effort_words(search: SearchResult) -> str:
    """`default, 38.2 min of 40 min, goes on from an earlier call`."""
    spent = show_duration(search.spent_s)
    if search.time_limit_s is not None:
        spent = f"{spent} of {show_duration(search.time_limit_s)}"
    resumed = ", goes on from an earlier call" if search.resumed else ""
    return f"{search.effort.value}, {spent}{resumed}"


def learned_words(search: SearchResult) -> str:
    """What students learned from, and from whom."""
    number, bare = search.train_examples, search.unlabelled_examples
    told = plural(number, "example")
    if bare:
        told += f", {show_count(bare)} of them unlabelled" if bare < number else ", unlabelled"
    teacher = f"; teacher: {search.teacher}" if search.teacher else ""
    return f"{search.train_data}: {told}{teacher}"


def timed_words(shapes: Sequence[TimedShape]) -> str:
    """`40 shapes before any training: 26 trained, 14 over the latency budget`."""
    counts = Counter(s.verdict for s in shapes if s.verdict)
    common = counts.most_common(_VERDICTS)
    told = [f"{show_count(n)} {verdict}" for verdict, n in common]
    others = counts.total() - sum(n for _, n in common)
    told += [f"{show_count(others)} otherwise"] if others else []
    timed = f"{plural(len(shapes), 'shape')} before any training"
    return f"{timed}: {', '.join(told)}" if told else timed


def trained_words(result: BuildResult, search: SearchResult) -> str:
    """`14 trainings on 3 rungs in 28.7 min: 6 promoted, 2 finalists`."""
    rungs = len({t.rung for t in search.trainings})
    seconds = show_duration(math.fsum(t.seconds for t in search.trainings))
    counts = Counter(map(outcomes_in(result), search.trainings))
    told = ", ".join(f"{counts[word]} {word}" for word in OUTCOMES if counts[word])
    trained = f"{plural(len(search.trainings), 'training')} on {plural(rungs, 'rung')}"
    return f"{trained} in {seconds}: {told}"


def outcomes_in(result: BuildResult) -> Callable[[TrainedShape], str]:
    """What says which of OUTCOMES became of a training of this build."""
    chosen = result.chosen.recipe if result.chosen is not None else None
    finalists = {c.recipe for c in result.candidates}
    limit = next((b.limit for b in result.budgets if b.metric == _ACCURACY), math.inf)

    def outcome_of(training: TrainedShape) -> str:
        if training.failure is not None:
            return "failed"
        if training.promoted:
            return "promoted"
        if training.recipe == chosen:
            return "chosen"
        if training.recipe in finalists:
            return "finalist"
        over = training.loss is not None and training.loss.lower > limit
        return "over budget" if over else "beaten"

    return outcome_of


def rungs_of(trainings: Sequence[TrainedShape]) -> list[tuple[int, list[TrainedShape]]]:
    """(rung from 1, its trainings from the best on); failures come last."""
    ordered = sorted(trainings, key=_standing)
    lowest = ordered[0].rung if ordered else 0
    shift = 1 if lowest == 0 else 0
    return [(rung + shift, [*group]) for rung, group in groupby(ordered, key=lambda t: t.rung)]


def _standing(training: TrainedShape) -> tuple[int, bool, float]:
    known = training.loss.estimate if training.loss is not None else math.inf
    return training.rung, training.failure is not None, known


def rung_words(rung: int, trainings: Sequence[TrainedShape]) -> str:
    """`rung 1: 8 trained in 9.2 min`."""
    seconds = show_duration(math.fsum(t.seconds for t in trainings))
    return f"rung {rung}: {show_count(len(trainings))} trained in {seconds}"


def shapes_in_order(shapes: Sequence[TimedShape]) -> list[TimedShape]:
    """The fastest first; what could not be timed last."""
    return sorted(shapes, key=lambda s: s.ratio if math.isfinite(s.ratio) else math.inf)


def show_ratio_of(shape: TimedShape) -> tuple[str, str]:
    """(ratio, interval) of a shape."""
    if not math.isfinite(shape.ratio):
        return NOTHING, ""
    return show_times(shape.ratio), show_times_bounds(shape.lower, shape.upper)


def show_time_of(shape: TimedShape) -> str:
    """What the target needs at least, to the digits of a prediction, or what was measured."""
    if shape.predicted_s is not None:
        return f"≥ {show_quantity(shape.predicted_s, Dimension.TIME, 2)}"
    return show(shape.tail_s, Dimension.TIME)


def show_loss(training: TrainedShape) -> tuple[str, str]:
    """(loss, bounds) in points."""
    loss = training.loss
    if loss is None:
        return NOTHING, ""
    bounds = show_bounds(loss.lower, loss.upper, Dimension.SHARE)
    return show(loss.estimate, Dimension.SHARE), bounds


def show_share(value: float | None) -> str:
    """`97.1 %`, or a dash."""
    return NOTHING if value is None or not math.isfinite(value) else f"{100 * value:.1f} %"


def show_error(value: float) -> str:
    """Two digits, as a person reads them: `0.031`, `4.2e-05`."""
    return f"{value:.2g}" if math.isfinite(value) else NOTHING


def show_large(value: float | None) -> str:
    """`2.36 M`, or a dash."""
    if value is None or not math.isfinite(value):
        return NOTHING
    scale, letter = next((p for p in _POWERS if abs(value) >= p[0]), (1.0, ""))
    return f"{value / scale:.3g} {letter}".strip()


def short_names(layers: Sequence[LayerError]) -> tuple[str, list[str]]:
    """What all names begin with, up to a slash, and what is left of each."""
    parts = [layer.name.split("/") for layer in layers]
    shared = 0
    for column in zip(*(p[:-1] for p in parts), strict=False):
        if len(set(column)) > 1:
            break
        shared += 1
    if len(layers) == 1 or shared == 0:
        return "", [layer.name for layer in layers]
    start = "/".join(parts[0][:shared]) + "/"
    return start, [layer.name[len(start) :] for layer in layers]
