"""The words of a comparison: what changed and by how much, for every rendering.

In: differences in base units. Out: short text. A change is told of the quantity that is shown, so
that accuracy falls where some is lost, and a percentage is of the old figure.
"""

from typing import Final

from deployopt.core.comparison import (
    ACCURACY,
    LATENCY,
    MEMORY,
    OPERATORS,
    PRECISION,
    SIZE,
    Change,
    Compared,
    Comparison,
    Difference,
    Margins,
)
from deployopt.core.units import Dimension
from deployopt.core.verdict import Outcome
from deployopt.reports.words import (
    NOTHING,
    evidence_words,
    metric_words,
    plural,
    sentences,
    show,
)

GOOD: Final = frozenset({Change.BETTER, Change.NO_WORSE, Change.SAME, Change.CHANGED})
_DIMENSIONS: Final = {LATENCY: Dimension.TIME, MEMORY: Dimension.SIZE, SIZE: Dimension.SIZE}
_LESS: Final = {LATENCY: "faster", MEMORY: "less", SIZE: "smaller", ACCURACY: "better"}
_MORE: Final = {LATENCY: "slower", MEMORY: "more", SIZE: "larger", ACCURACY: "lost"}
_MARKS: Final = {Change.REGRESSED: "✗", Change.UNDECIDED: "?", Change.CHANGED: "·"}


def aspect_words(difference: Difference) -> str:
    """`latency p50`."""
    return metric_words(difference.aspect)


def change_mark(difference: Difference) -> str:
    """One sign before the row."""
    return _MARKS.get(difference.outcome, "✓")


def change_word(difference: Difference) -> str:
    """The outcome; `faster` rather than `better` where it is time."""
    if difference.outcome is Change.BETTER:
        return _LESS[difference.aspect]
    return difference.outcome.value


def style_of(difference: Difference) -> str:
    """The outcome of a verdict that its colour is borrowed from."""
    if difference.outcome is Change.REGRESSED:
        return Outcome.REJECTED.value
    waits = difference.outcome is Change.UNDECIDED
    return Outcome.UNDECIDED.value if waits else Outcome.ACCEPTED.value


def old_words(difference: Difference) -> str:
    """The old figure with its unit."""
    return _value(difference, difference.old, difference.old_words)


def new_words(difference: Difference) -> str:
    """The new figure with its unit."""
    return _value(difference, difference.new, difference.new_words)


def change_words(difference: Difference) -> str:
    """`+10.2 %`, `-0.25 pt`, `+15` nodes; a dash where there is no number."""
    if difference.aspect == OPERATORS and difference.old is not None and difference.new is not None:
        return _signed(difference.new - difference.old, 0)
    if difference.change is None:
        return NOTHING
    if difference.aspect == ACCURACY:
        return f"{_signed(-100 * difference.change, 2)} pt"
    return f"{_signed(100 * difference.change, 1)} %"


def bounds_words(difference: Difference) -> str:
    """`+8.1 to +12.3 %`; a dash where nothing is open or nothing is known."""
    low, high = difference.lower, difference.upper
    if low is None or high is None or low == high:
        return NOTHING
    if difference.aspect == ACCURACY:
        return f"{_signed(-100 * high, 2)} to {_signed(-100 * low, 2)} pt"
    return f"{_signed(100 * low, 1)} to {_signed(100 * high, 1)} %"


def by_how_much(difference: Difference) -> str:
    """`latency p50 10.2 % slower, at least 8.1 %`; what is not a number is told by its reason."""
    name = aspect_words(difference)
    if difference.change is None:
        return name
    word = _MORE[difference.aspect]
    amount, least = difference.change, difference.lower
    unit, digits = ("pt", 2) if difference.aspect == ACCURACY else ("%", 1)
    sure = "" if least is None or least == amount else f", at least {100 * least:.{digits}f} {unit}"
    return f"{name} {100 * amount:.{digits}f} {unit} {word}{sure}"


def in_short(comparison: Comparison) -> str:
    """What the outcome means, in one line."""
    worse = [d for d in comparison.differences if d.outcome is Change.REGRESSED]
    waiting = [d for d in comparison.differences if d.outcome is Change.UNDECIDED]
    if worse:
        return f"regressed: {'; '.join(by_how_much(d) for d in worse)}"
    if comparison.outcome is Outcome.REJECTED:
        return "the new one does not answer as it must"
    if waiting:
        names = ", ".join(aspect_words(d) for d in waiting)
        return f"neither shown to be worse nor shown not to be: {names}"
    better = [change_word(d) for d in comparison.differences if d.outcome is Change.BETTER]
    if better:
        return f"no worse within the margins, and {' and '.join(better)}"
    return "no worse within the margins"


def margin_words(margins: Margins) -> str:
    """`5 % of latency, memory and size; 1 pt of accuracy`."""
    cost, accuracy = 100 * margins.cost, 100 * margins.accuracy
    return f"{cost:g} % of latency, memory and size; {accuracy:g} pt of accuracy"


def side_words(side: Compared) -> str:
    """A bundle in one line."""
    parts = (side.name, side.precision.value, side.runtime, f"{side.outcome} when it was built")
    return ", ".join(parts)


def notes_of(comparison: Comparison) -> list[tuple[str, str]]:
    """What is to be said of each aspect that is not simply good."""
    return [
        (aspect_words(d), sentences(d.reason, d.settle))
        for d in comparison.differences
        if (d.outcome not in GOOD or d.aspect == OPERATORS) and (d.reason or d.settle)
    ]


def rounds_words(comparison: Comparison) -> str:
    """`24 pairs of rounds, 2 void`."""
    void = sum(r.void is not None for r in comparison.rounds)
    told = f", {void} void" if void else ""
    return f"{plural(len(comparison.rounds), 'pair')} of rounds, one beside the other{told}"


def evidence_lines(comparison: Comparison) -> list[str]:
    """`latency p50, memory peak: measured on target`, one a kind of evidence."""
    kinds = dict.fromkeys(d.evidence for d in comparison.differences)
    return [
        f"{', '.join(aspect_words(d) for d in comparison.differences if d.evidence is kind)}: "
        f"{evidence_words(kind)}"
        for kind in kinds
    ]


def place_words(comparison: Comparison) -> str:
    """Where both were measured, and whether that is the target."""
    where = comparison.where
    return where if comparison.mismatch is None else f"{where}, a proxy: {comparison.mismatch}"


def _value(difference: Difference, value: float | None, words: str | None) -> str:
    if difference.aspect == PRECISION:
        return words or NOTHING
    if value is None:
        return NOTHING
    if difference.aspect == ACCURACY:
        return f"{100 * value:.2f} %"
    if difference.aspect == OPERATORS:
        return f"{value:.0f}"
    return show(value, _DIMENSIONS[difference.aspect])


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    return text.removeprefix("+").removeprefix("-") if not float(text) else text
