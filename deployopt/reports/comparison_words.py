"""The words of a comparison: what changed and by how much, for every rendering.

In: differences in base units. Out: short text. A change is told of the quantity that is shown, so
that accuracy falls where some is lost, and a percentage is of the old figure.
"""

from typing import Final

from deployopt.core.comparison import (
    ACCURACY,
    AGREEMENT,
    DECODE,
    FIRST_TOKEN,
    FULL_CONTEXT,
    LATENCY,
    MEMORY,
    NLL,
    OPERATORS,
    PRECISION,
    SIZE,
    Change,
    Compared,
    Comparison,
    Difference,
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
_DIMENSIONS: Final = {
    LATENCY: Dimension.TIME,
    FIRST_TOKEN: Dimension.TIME,
    DECODE: Dimension.TOKEN_RATE,
    MEMORY: Dimension.SIZE,
    FULL_CONTEXT: Dimension.SIZE,
    SIZE: Dimension.SIZE,
}
_NAMES: Final = {
    FIRST_TOKEN: "first token",
    DECODE: "tokens/s",
    NLL: "NLL",
    FULL_CONTEXT: "full context",
}
"""Where the metric's own name is too long for a column, or says less."""
_TIMES: Final = frozenset({LATENCY, FIRST_TOKEN, DECODE})
_MEMORIES: Final = frozenset({MEMORY, FULL_CONTEXT})
_LESS: Final = {SIZE: "smaller", ACCURACY: "better", NLL: "better"}
_MORE: Final = {SIZE: "larger", ACCURACY: "lost", NLL: "higher", AGREEMENT: "apart"}
_SHARES: Final = frozenset({ACCURACY, AGREEMENT})
"""Told as the share that is right or agrees, in points, though `change` is what is lost."""
_MARKS: Final = {Change.REGRESSED: "✗", Change.UNDECIDED: "?", Change.CHANGED: "·"}


def aspect_words(difference: Difference) -> str:
    """`latency p50`."""
    return _NAMES.get(difference.aspect, metric_words(difference.aspect))


def change_mark(difference: Difference) -> str:
    """One sign before the row."""
    return _MARKS.get(difference.outcome, "✓")


def change_word(difference: Difference) -> str:
    """The outcome; `faster` rather than `better` where it is time."""
    if difference.outcome is Change.BETTER:
        return _direction(difference.aspect, less=True)
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
    if difference.aspect in _SHARES:
        return f"{_signed(-100 * difference.change, 2)} pt"
    return f"{_signed(100 * _shown(difference, difference.change), _digits(difference))} %"


def bounds_words(difference: Difference) -> str:
    """`+8.1 to +12.3 %`; a dash where nothing is open or nothing is known."""
    low, high = difference.lower, difference.upper
    if low is None or high is None or low == high:
        return NOTHING
    if difference.aspect in _SHARES:
        return f"{_signed(-100 * high, 2)} to {_signed(-100 * low, 2)} pt"
    first, last = sorted((_shown(difference, low), _shown(difference, high)))
    digits = _digits(difference)
    return f"{_signed(100 * first, digits)} to {_signed(100 * last, digits)} %"


def by_how_much(difference: Difference) -> str:
    """`latency p50 10.2 % slower, at least 8.1 %`; what is not a number is told by its reason."""
    name = aspect_words(difference)
    if difference.change is None:
        return name
    word = _direction(difference.aspect, less=False)
    unit, digits = "pt" if difference.aspect in _SHARES else "%", _digits(difference)
    amount = abs(_shown(difference, difference.change))
    told = f"{name} {100 * amount:.{digits}f} {unit} {word}"
    if difference.lower is None or difference.lower == difference.change:
        return told
    return f"{told}, at least {100 * abs(_shown(difference, difference.lower)):.{digits}f} {unit}"


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
    better = [_gain(d) for d in comparison.differences if d.outcome is Change.BETTER]
    if better:
        return f"no worse within the margins, and {' and '.join(dict.fromkeys(better))}"
    return "no worse within the margins"


def margin_words(comparison: Comparison) -> str:
    """`5 % of latency, memory and size; 1 pt of accuracy`, by what was judged."""
    margins, judged = comparison.margins, {d.aspect for d in comparison.differences}
    cost, accuracy, nll = (100 * m for m in (margins.cost, margins.accuracy, margins.nll))
    times = "times" if NLL in judged else "latency"
    parts = [f"{cost:g} % of {times}, memory and size"]
    parts += [f"{nll:g} % of NLL"] if NLL in judged else []
    parts += [f"{accuracy:g} pt of accuracy"] if ACCURACY in judged else []
    return "; ".join(parts)


def side_words(side: Compared) -> str:
    """A bundle in one line."""
    parts = (side.name, side.precision.value, side.runtime, f"{side.outcome} when it was built")
    return ", ".join(parts)


def notes_of(comparison: Comparison) -> list[tuple[str, str]]:
    """What is to be said of each aspect that is not simply good; equal notes stand once."""
    notes: dict[str, list[str]] = {}
    for one in comparison.differences:
        told = one.outcome not in GOOD or one.aspect == OPERATORS
        if told and (one.reason or one.settle):
            notes.setdefault(sentences(one.reason, one.settle), []).append(aspect_words(one))
    return [(", ".join(names), text) for text, names in notes.items()]


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
    if difference.aspect in _SHARES:
        return f"{100 * value:.2f} %"
    if difference.aspect == NLL:
        return f"{value:.4f}"
    if difference.aspect == OPERATORS:
        return f"{value:.0f}"
    return show(value, _DIMENSIONS[difference.aspect])


def _gain(difference: Difference) -> str:
    """`faster`; `NLL better` where the word alone would not say of what."""
    word = change_word(difference)
    return word if word != "better" else f"{aspect_words(difference)} better"


def _direction(aspect: str, *, less: bool) -> str:
    """What less, or more, of it is called."""
    if aspect in _TIMES:
        return "faster" if less else "slower"
    if aspect in _MEMORIES:
        return "less" if less else "more"
    return _LESS[aspect] if less else _MORE[aspect]


def _digits(difference: Difference) -> int:
    """Behind the point: quality changes by less than times do."""
    return 2 if difference.aspect in {*_SHARES, NLL} else 1


def _shown(difference: Difference, change: float) -> float:
    """Of the quantity that is shown: a rate falls where the time a token rises."""
    return 1.0 / (1.0 + change) - 1.0 if difference.aspect == DECODE else change


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    return text.removeprefix("+").removeprefix("-") if not float(text) else text
