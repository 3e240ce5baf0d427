"""Advice for a person at a terminal of 80 columns: the choice, why, how, and what else would do.

In: the result of `recommend`. Out: text on stderr; the command lines come last, to be copied.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from deployopt.core.cost import Cost
from deployopt.core.counts import show_short
from deployopt.core.recommendation import Choice, Recommendation, TrainingAdvice
from deployopt.core.result import RecommendResult
from deployopt.core.standing import Standing
from deployopt.core.text import safe_record, safe_text
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.fit import WORDS, training_words
from deployopt.reports.layout import (
    columns,
    command,
    facts,
    heading,
    listing,
    stderr_console,
    styled,
)
from deployopt.reports.words import NOTHING, plural, show_bounds, show_count

if TYPE_CHECKING:
    from rich.console import Console

_REFUSED_SHOWN: Final = 6
_WHOLE: Final = 10
"""From which a number of two digits has none behind the point."""
_CHOICE_COLUMNS: Final = (
    ("", 1),
    ("model", 18),
    ("params", 7),
    ("as", 5),
    ("memory", 9),
    ("", 7),
    ("speed", 11),
    ("published quality", 15),
)
_SPEEDS: Final[tuple[tuple[str, Dimension | None, str], ...]] = (
    ("decode_tps", None, "tok/s"),
    ("latency_s", Dimension.TIME, ""),
)


def print_recommendation(result: RecommendResult, console: "Console | None" = None) -> None:
    """The choice with its reasons, training, cost, alternatives, refusals, commands."""
    console = console or stderr_console()
    advice = safe_record(result.recommendation)
    title = f"{advice.task.value} on {advice.target.title}"
    console.print(styled(safe_text(title, 78), "bold"))
    facts(console, _facts(advice))
    if advice.choice is not None:
        _print_choices(console, advice.choice, advice.alternatives)
        heading(console, f"Why {advice.choice.alias}")
        listing(console, ((r.about, r.text) for r in advice.choice.reasons), 10)
        if advice.choice.training is not None:
            _print_training(console, advice.choice.training)
    if advice.cost is not None:
        _print_cost(console, advice.cost)
    if advice.refused:
        _print_refused(console, advice.refused)
    if advice.choice is not None and advice.choice.commands:
        heading(console, "To build it")
        for line in advice.choice.commands:
            command(console, line)
    console.print()
    console.print(styled(f"exit {result.exit_code}", "dim"))


def _facts(advice: Recommendation) -> Iterator[tuple[str, str]]:
    if advice.choice is None:
        yield "Answer", "nothing in the catalogue will do; the reasons are below"
    else:
        yield "Answer", _answer(advice.choice)
    data = "none given: the model is used as it comes"
    if advice.examples is not None:
        data = f"{plural(advice.examples, 'labelled example')} for fine-tuning"
    yield "Data", data
    if advice.realtime:
        yield "Realtime", "somebody waits for the answer"
    yield from (("Warning", warning) for warning in advice.warnings)


def _answer(choice: Choice) -> str:
    steps = ", ".join(choice.compression)
    return f"{choice.alias} ({choice.title}), {choice.precision.value}, {choice.runtime}" + (
        f"; {steps}" if steps else ""
    )


def _print_choices(console: "Console", choice: Choice, others: Sequence[Choice]) -> None:
    heading(console, "Choice and alternatives; memory and speed are predicted")
    table = columns(*_CHOICE_COLUMNS)
    for one in (choice, *others):
        word, style = WORDS[one.standing]
        chosen = one is choice
        need = None if one.memory is None else one.memory.total.value
        table.add_row(
            styled("●" if chosen else "", "bold green"),
            styled(one.alias, "bold" if chosen else ""),
            styled(show_short(one.parameters)),
            styled(one.precision.value),
            styled(NOTHING if need is None else show_quantity(need, Dimension.SIZE)),
            styled(word, style),
            styled(_speed(one)),
            styled(one.quality or NOTHING),
        )
    console.print(table)
    trades = [(one.alias, one.trade) for one in others if one.trade]
    if trades:
        console.print()
        listing(console, trades, 18)


def _print_training(console: "Console", advice: TrainingAdvice) -> None:
    heading(console, "Fine-tuning")
    facts(console, _training_facts(advice))
    for line in advice.commands:
        command(console, line)


def _training_facts(advice: TrainingAdvice) -> Iterator[tuple[str, str]]:
    training = advice.training
    yield "Method", training_words(training)
    need = advice.need.total
    fits = WORDS[advice.standing][0]
    yield (
        "Where",
        (
            f"{advice.where}: {show_bounds(need.lower, need.upper, Dimension.SIZE)} of "
            f"{show_quantity(advice.available_bytes, Dimension.SIZE)} usable, {fits}"
        ),
    )
    size = training.batch * training.devices * advice.accumulation
    batch = f"{training.batch} a device"
    if size != training.batch:
        batch += f" x {plural(training.devices, 'device')} x {plural(advice.accumulation, 'step')}"
        batch += f" = {size}"
    yield "Batch", batch
    stop = ", early stopping" if advice.early_stopping else ""
    yield (
        "Schedule",
        (
            f"{plural(advice.epochs, 'epoch')} at {advice.learning_rate:g}, warm-up over "
            f"{advice.warmup_share:.0%}{stop}"
        ),
    )
    if advice.augmentation:
        yield "Augment", advice.augmentation
    if advice.distil_from is not None:
        yield "Teacher", advice.distil_from
    if advice.hours is not None:
        low, high = (hours * 3600 for hours in (advice.hours.lower, advice.hours.upper))
        yield "Time", f"{_wait(low)} to {_wait(high)}"


def _wait(seconds: float) -> str:
    """`25 s`, `12 min`, `3.4 h`, `9 days`: two digits."""
    for unit, scale in (("days", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * scale:
            return f"{float(f'{seconds / scale:.2g}'):g} {unit}"
    return f"{float(f'{seconds:.2g}'):g} s"


def _print_cost(console: "Console", cost: Cost) -> None:
    heading(console, f"Cost of a million requests, {cost.currency}, prices of {cost.as_of}")
    table = columns(("", 34), ("a million", 10), ("band", 18), ("most a day", 14))
    for option in cost.options:
        estimate = option.per_million
        most = option.requests_per_day_max
        table.add_row(
            styled(option.name),
            styled(_money(estimate.value)),
            styled(f"{_money(estimate.lower)} to {_money(estimate.upper)}"),
            styled(NOTHING if most is None else _about(most)),
        )
    console.print(table)
    if cost.energy_per_request_j is not None:
        joules = show_quantity(cost.energy_per_request_j.value, Dimension.ENERGY, 2)
        console.print(f"Energy: {joules} a request.")
    if cost.training is not None:
        estimate = cost.training
        console.print(
            f"One training run: {_money(estimate.lower)} to {_money(estimate.upper)} "
            f"{cost.currency}."
        )
    for note in cost.notes:
        console.print(styled(note, "dim"))


def _about(number: float) -> str:
    """`7.4 M`: two digits and a scale."""
    digits, gap, scale = show_short(float(f"{number:.2g}")).partition(" ")
    return (digits.rstrip("0").rstrip(".") if "." in digits else digits) + gap + scale


def _money(amount: float) -> str:
    """Two digits, as sure as the speed is that it follows from."""
    rounded = float(f"{amount:.2g}")
    return show_count(round(rounded)) if rounded >= _WHOLE else f"{rounded:.2g}"


def _print_refused(console: "Console", refused: dict[str, str]) -> None:
    heading(console, "Will not do")
    first = list(refused.items())[:_REFUSED_SHOWN]
    listing(console, first, 18)
    left = len(refused) - len(first)
    if left:
        console.print(styled(f"  and {left} more; --json names them all", "dim"))


def _speed(choice: Choice) -> str:
    for name, dimension, unit in _SPEEDS:
        estimate = choice.predicted.get(name)
        if estimate is not None:
            if dimension is None:
                return f"{float(f'{estimate.value:.2g}'):g} {unit}"
            late = choice.within_latency is Standing.OUTSIDE
            return show_quantity(estimate.value, dimension, 2) + (" late" if late else "")
    return NOTHING
