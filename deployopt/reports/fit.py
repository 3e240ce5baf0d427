"""What fits, for a person at a terminal of 80 columns: a row a precision or a method of training.

In: the result of `fit`. Out: text on stderr; what would fit, or what to give up, comes last.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from deployopt.core.counts import show_short
from deployopt.core.fit import Fit, Use
from deployopt.core.memory import Sharding, Training
from deployopt.core.result import FitResult
from deployopt.core.standing import Standing
from deployopt.core.text import safe_record, safe_text
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.layout import (
    WIDTH,
    columns,
    facts,
    heading,
    joined,
    listing,
    stderr_console,
    styled,
)
from deployopt.reports.words import NOTHING, show_bounds, show_count

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WORDS: Final = {
    Standing.INSIDE: ("fits", "green"),
    Standing.UNSETTLED: ("may fit", "yellow"),
    Standing.OUTSIDE: ("no", "red"),
}
_MARKS: Final = {Standing.INSIDE: "✓", Standing.UNSETTLED: "?", Standing.OUTSIDE: "✗"}
_SPEEDS: Final = ("decode_tps", "latency_s")


def print_fit(result: FitResult, console: "Console | None" = None) -> None:
    """The model, the table of uses, the parts of the best one, and what else there is to say."""
    console = console or stderr_console()
    fit = safe_record(result.fit)
    console.print(styled(safe_text(f"{fit.model} on {fit.target.title}", 78), "bold"))
    facts(console, _facts(fit))
    if fit.uses:
        training = fit.uses[0].training is not None
        heading(console, "Fine-tuning" if training else "Inference; every number is predicted")
        _print_uses(console, fit.uses, training=training)
        _print_parts(console, fit)
    if fit.give_up:
        heading(console, "What would fit")
        for sentence in fit.give_up:
            console.print(f"- {sentence}")
    if fit.cross_checks:
        heading(console, "Rules of thumb, not used")
        for sentence in fit.cross_checks:
            console.print(styled(sentence, "dim"))
    console.print()
    console.print(styled(f"exit {result.exit_code}", "dim"))


def _facts(fit: Fit) -> Iterator[tuple[str, str]]:
    yield (
        "Target",
        f"{fit.target.name}, {_size(fit.uses[0].available_bytes)} usable"
        + (" on one device" if _devices(fit) > 1 else ""),
    )
    yield "Model", _shape(fit)
    if fit.architecture is not None:
        yield "", fit.architecture.basis
    yield from (("Warning", warning) for warning in fit.warnings)


def _devices(fit: Fit) -> int:
    return fit.target.hardware.gpu.count if fit.target.hardware.gpu else 1


def _shape(fit: Fit) -> str:
    parts = [f"{show_short(fit.parameters)} parameters"]
    architecture = fit.architecture
    if architecture is None:
        return parts[0]
    if architecture.active_parameters < architecture.parameters:
        parts.append(f"{show_short(architecture.active_parameters)} active a token")
    for stack in architecture.stacks:
        heads = f"{stack.heads} heads"
        if stack.kv_heads != stack.heads:
            heads += f" ({stack.kv_heads} for keys and values)"
        parts.append(f"{stack.name} of {stack.layers} layers, {stack.hidden} wide, {heads}")
    if architecture.vocabulary:
        parts.append(f"vocabulary {show_count(architecture.vocabulary)}")
    if architecture.dtype:
        parts.append(f"made in {architecture.dtype}")
    return ", ".join(parts)


def _print_uses(console: "Console", uses: Sequence[Use], *, training: bool) -> None:
    first = ("method", 21) if training else ("precision", 9)
    table = columns(
        ("", 1),
        first,
        ("memory", 9),
        ("band", 17),
        ("", 8),
        ("batch", 7),
        *((("context", 8),) if uses[0].context is not None else ()),
        *(() if training else (("speed", 14),)),
    )
    for use in uses:
        word, style = WORDS[use.standing]
        cells = [
            styled(_MARKS[use.standing], style),
            styled(training_words(use.training) if use.training else use.precision.value),
            styled(_size(use.need.total.value)),
            styled(show_bounds(use.need.total.lower, use.need.total.upper, Dimension.SIZE)),
            styled(word, style),
            _largest(use.largest_batch),
        ]
        if use.context is not None:
            cells.append(_largest(use.largest_context))
        if not training:
            cells.append(styled(_speed(use)))
        table.add_row(*cells)
    console.print(table)
    at = f"at batch {uses[0].training.batch if uses[0].training else uses[0].batch}"
    largest = "batch: the largest that fits"
    if uses[0].context is not None:
        at += f" and {show_count(uses[0].context)} tokens"
        largest = "batch and context: the largest that fit"
    console.print(styled(f"  memory {at}; {largest}", "dim"))
    notes = [(_name(use), use.note) for use in uses if use.note]
    if notes:
        console.print()
        listing(console, notes, first[1])


def _print_parts(console: "Console", fit: Fit) -> None:
    use = fit.uses[fit.best] if fit.best is not None else fit.uses[-1]
    heading(console, f"What {_name(use)} takes")
    total = use.need.total.value
    parts = [part for part in use.need.parts if part.bytes >= total / 1000]
    shown = [f"{part.name} {_size(part.bytes)}" for part in parts]
    console.print(joined(shown, " · ", WIDTH))
    console.print(styled(use.need.total.basis, "dim"))


def training_words(training: Training) -> str:
    """`lora bf16, adamw, fsdp x 4`: one way of training in a few words."""
    words = f"{training.method.value} {training.precision.value}"
    if training.pure:
        words += " alone"
    if training.optimizer.value != "adamw":
        words += f", {training.optimizer.value}"
    if training.sharding is not Sharding.NONE:
        words += f", {training.sharding.value} x {training.devices}"
    return words


def _name(use: Use) -> str:
    return training_words(use.training) if use.training else use.precision.value


def _largest(number: int | None) -> "Text":
    return styled(NOTHING, "dim") if number is None else styled(show_count(number))


def _speed(use: Use) -> str:
    """Two digits, as sure as the prediction is."""
    for name in _SPEEDS:
        estimate = use.predicted.get(name)
        if estimate is None:
            continue
        if name == "latency_s":
            return show_quantity(estimate.value, Dimension.TIME, 2)
        return f"{float(f'{estimate.value:.2g}'):g} tok/s"
    return "" if use.standing is Standing.OUTSIDE else "not predicted"


def _size(value: float) -> str:
    return show_quantity(value, Dimension.SIZE)
