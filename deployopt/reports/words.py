"""The words and figures that every rendering shares: quantities, intervals, evidence, outcomes.

In: numbers in base units. Out: short text for a person. A number that is not there is a dash.
"""

import math
from collections.abc import Sequence
from typing import Final

from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.figure import Figure
from deployopt.core.measurement import Machine
from deployopt.core.metric import METRICS
from deployopt.core.result import AccuracySummary, LatencySummary, StageTime, StepResult
from deployopt.core.units import UNITS, Dimension, show_quantity
from deployopt.core.verdict import Check, Outcome, Verdict

NOTHING: Final = "—"
EVIDENCE: Final[dict[Evidence, str]] = {
    Evidence.EXACT: "exact",
    Evidence.TARGET: "measured on target",
    Evidence.PROXY: "measured here (proxy)",
    Evidence.PREDICTED: "predicted",
}
MARKS: Final[dict[str, str]] = {
    "accepted": "✓",
    "provisional": "~",
    "undecided": "?",
    "rejected": "✗",
}
_HUNDREDTHS: Final = {Dimension.SHARE: "pt", Dimension.PERCENT: "%"}
_COARSE: Final = 0.2
_MINUTES: Final = 90.0
_NO_TIME_S: Final = 0.1
_MEANING: Final[dict[str, str]] = {
    "accepted": "every budget is met, with its whole 95 % bound",
    "provisional": "every budget is met or predicted to be; the device must confirm",
    "undecided": "some budget is neither met nor missed for certain",
    "rejected": "a budget is missed",
}
_BEYOND: Final[dict[Outcome, str]] = {
    Outcome.ACCEPTED: _MEANING["accepted"],
    Outcome.UNDECIDED: "every budget is met, and something else is open",
    Outcome.REJECTED: "every budget is met, and something else speaks against it",
}
"""Where no single budget says it: an output that is no number, a baseline."""


def evidence_words(evidence: Evidence | None) -> str:
    """Where a number comes from, as it stands behind every number."""
    return EVIDENCE[evidence] if evidence is not None else "no evidence"


def unbroken(name: str) -> str:
    """A recipe's name whose shares keep their sign on the same line."""
    return name.replace(" %", "\u00a0%")


def metric_words(name: str) -> str:
    """`latency_p95` as it is read: `latency p95`."""
    return name.replace("_", " ")


def budget_words(metric: str, limit: float) -> str:
    """`latency p95 ≤ 60 ms`, `throughput ≥ 100 /s`."""
    sign = METRICS[metric].sign if metric in METRICS else "≤"
    return f"{metric_words(metric)} {sign} {show_limit(limit, dimension_of(metric))}"


def dimension_of(metric: str) -> Dimension | None:
    """What the metric counts, or None for a name that is not in the table."""
    return METRICS[metric].dimension if metric in METRICS else None


def show(value: float | None, dimension: Dimension | None) -> str:
    """A quantity with its unit, or a dash; shares always to a hundredth of a point."""
    if value is None:
        return NOTHING
    if dimension is None:
        return f"{value:.2f}"
    if dimension in _HUNDREDTHS and math.isfinite(value):
        unit = _HUNDREDTHS[dimension]
        return f"{value * 100:.2f} {unit}".replace("-0.00", "0.00")
    return show_quantity(value, dimension)


def show_figure(figure: Figure | None, dimension: Dimension) -> str:
    """The value of a figure, or a dash."""
    return NOTHING if figure is None else show(figure.value, dimension)


def show_limit(limit: float, dimension: Dimension | None) -> str:
    """A limit as its owner would write it: `60 ms`, without zeros behind the point."""
    number, gap, unit = show(limit, dimension).partition(" ")
    return (number.rstrip("0").rstrip(".") if "." in number else number) + gap + unit


def show_bounds(lower: float | None, upper: float | None, dimension: Dimension | None) -> str:
    """`14.9 to 15.6 ms`, `≤ 0.61 pt` or `≥ 3 ms`; empty where nothing is open."""
    if lower == upper:
        return ""
    if upper is None:
        return f"≥ {show(lower, dimension)}"
    if lower is None:
        return f"≤ {show(upper, dimension)}"
    first, last = show(lower, dimension), show(upper, dimension)
    return last if first == last else f"{_in_unit_of(last, lower, first, dimension)} to {last}"


def _in_unit_of(last: str, value: float, shown: str, dimension: Dimension | None) -> str:
    """`value` as a number in the unit that `last` has, or as shown where that has none."""
    if dimension is None or dimension in _HUNDREDTHS:
        return shown.partition(" ")[0]
    number, _, unit = last.rpartition(" ")
    scale = UNITS[dimension].get(unit)
    return shown if scale is None else f"{value / scale:.{len(number.partition('.')[2])}f}"


def show_interval(figure: Figure | Estimate, dimension: Dimension | None) -> str:
    """The bounds of a figure or the band of an estimate."""
    return show_bounds(figure.lower, figure.upper, dimension)


def show_ratio(figure: Figure | None) -> str:
    """`0.40 x`, or a dash."""
    return NOTHING if figure is None or figure.value is None else f"{show_times(figure.value)} x"


def show_times(value: float) -> str:
    """A ratio: `0.40`, and with one more digit below a fifth, `0.054`."""
    return f"{value:.{_ratio_decimals(value)}f}"


def show_times_bounds(lower: float | None, upper: float | None) -> str:
    """`0.39 to 0.41`, `0.052 to 0.056`, `≤ 0.41`; empty where nothing is known."""
    if lower is not None and upper is not None:
        decimals = max(_ratio_decimals(lower), _ratio_decimals(upper))
        first, last = f"{lower:.{decimals}f}", f"{upper:.{decimals}f}"
        return last if first == last else f"{first} to {last}"
    if upper is not None:
        return f"≤ {show_times(upper)}"
    return "" if lower is None else f"≥ {show_times(lower)}"


def _ratio_decimals(value: float) -> int:
    return 2 if abs(value) >= _COARSE else 3


def where_words(device: str | None) -> str:
    """What stands before the machine that measured."""
    return "Built on" if device is None else "Tried on"


def at_words(machine: Machine, device: str | None) -> str:
    """The machine, and its address where it has one."""
    words = machine_words(machine)
    return words if device is None else f"{words}, {device}"


def stage_words(stages: Sequence[StageTime]) -> list[str]:
    """`Latency 12 s` for every stage; what came again is added up, what took no time left out."""
    seconds: dict[str, float] = {}
    for one in stages:
        seconds[one.stage] = seconds.get(one.stage, 0.0) + one.seconds
    return [f"{name} {show_duration(s)}" for name, s in seconds.items() if s >= _NO_TIME_S]


def show_duration(seconds: float) -> str:
    """How long work took: `12.3 s`, from a minute and a half on `38.2 min`."""
    if not _MINUTES <= seconds < math.inf:
        return show_quantity(seconds, Dimension.TIME)
    return f"{seconds / 60:.1f}".removesuffix(".0") + " min"


def show_count(number: int) -> str:
    """Thousands set apart by a gap that no line ends in."""
    return f"{number:,}".replace(",", "\u00a0")


def plural(number: int, noun: str) -> str:
    """`1 round`, `5 rounds`."""
    return f"{show_count(number)} {noun}{'' if number == 1 else 's'}"


def tail_word(latency: LatencySummary) -> str:
    """`p95`, `p99.9`: the quantile that the budget names."""
    return f"p{latency.quantile * 100:g}"


def loss_words(accuracy: AccuracySummary) -> str:
    """What the paired trial counts."""
    return "accuracy lost" if accuracy.trial.labelled else "disagreement"


def verdict_words(verdict: Verdict) -> str:
    """What the outcome means, in one line."""
    if verdict.reasons and all(check.outcome is Outcome.ACCEPTED for check in verdict.checks):
        return _BEYOND[verdict.outcome]
    return _MEANING[verdict.word]


def check_word(check: Check) -> str:
    """The outcome of one budget, with the one case in which a prediction stands in for it."""
    if check.outcome is Outcome.UNDECIDED and check.predicted_inside:
        return "provisional"
    return check.outcome.value


def sentences(*parts: str | None) -> str:
    """The parts as one text, each begun with a capital and ended with a full stop."""
    ended = (part.strip() for part in parts if part and part.strip())
    return " ".join(
        f"{part[0].upper()}{part[1:]}{'' if part.endswith(('.', '!', '?')) else '.'}"
        for part in ended
    )


def check_basis(check: Check) -> str:
    """Evidence, number of samples and confidence of one budget."""
    parts = [evidence_words(check.evidence)]
    if check.samples:
        parts.append(plural(check.samples, "sample"))
    if check.confidence is not None and show_bounds(check.lower, check.upper, None):
        kind = "band" if check.evidence is Evidence.PREDICTED else "one-sided bound"
        parts.append(f"{check.confidence * 100:g} % {kind}")
    return ", ".join(parts)


def check_notes(verdict: Verdict) -> list[tuple[str, str]]:
    """What is to be said of the budgets that are not accepted; equal notes stand once."""
    notes: dict[str, list[str]] = {}
    for check in verdict.checks:
        if check.outcome is not Outcome.ACCEPTED:
            text = sentences(check.reason, check.settle)
            notes.setdefault(text, []).append(metric_words(check.metric))
    return [(", ".join(names), text) for text, names in notes.items()]


def steps_words(steps: tuple[StepResult, ...]) -> list[str]:
    """`export 6.21 s`, `quantize from the store`: one a step."""
    return [
        f"{s.name} {'from the store' if s.reused else show_quantity(s.seconds, Dimension.TIME)}"
        for s in steps
    ]


def machine_words(machine: Machine) -> str:
    """A machine in one line."""
    what = machine.board or machine.cpu
    memory = show_quantity(machine.memory_bytes, Dimension.SIZE)
    return f"{what}, {machine.arch}, {plural(machine.cores, 'core')}, {memory}"
