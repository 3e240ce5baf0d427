"""What was trained, for a person at a terminal of 80 columns.

In: the result of `finetune`. Out: text on stderr: the run, how well it answers with the interval of
that, the loss as it fell, memory beside its prediction, and the folder last.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from deployopt.core.memory import Method
from deployopt.core.text import safe_record, safe_text
from deployopt.core.training_result import FinetuneResult, HeldDialogues
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.layout import columns, command, facts, heading, stderr_console, styled
from deployopt.reports.words import plural, show_bounds, show_count, show_duration

if TYPE_CHECKING:
    from rich.console import Console

_ROWS: Final = 12
_JUDGES: Final = 24
"""Texts that a build is judged by at least."""
_SPLITS: Final = ("train", "validation", "held-out")


def print_finetune(result: FinetuneResult, console: "Console | None" = None) -> None:
    """The whole result, the table of evaluations shortened in its middle where it is long."""
    console = console or stderr_console()
    shown = safe_record(result)
    console.print(styled(safe_text(f"{shown.base}, fine-tuned", 78), "bold"))
    facts(console, _facts(shown))
    heading(console, "Validation after each epoch")
    _print_evaluations(console, shown)
    heading(console, "Result")
    facts(console, _outcome(shown))
    if shown.warnings:
        heading(console, "To know")
        for warning in shown.warnings:
            console.print(f"- {warning}")
    console.print()
    if shown.options.method is not Method.PREFIX:
        line = f"deployopt build --model {_folder(shown.folder)} --target NAME"
        command(console, line + _data(shown))
    console.print(styled(f"exit {shown.exit_code}", "dim"))


def _facts(result: FinetuneResult) -> Iterator[tuple[str, str]]:
    options = result.options
    yield "Base", result.resolved
    yield "Method", f"{_method(result)}: {result.reason}"
    counts = ", ".join(f"{show_count(n)} {name}" for name, n in _in_order(result.examples))
    what = f"; {plural(len(result.labels), 'label')}" if result.labels else ""
    yield ("Examples" if result.held_dialogues is None else "Dialogues"), counts + what
    together = options.batch * options.accumulation * result.processes
    how = [
        f"{options.optimizer.value} at {options.learning_rate:g}",
        f"batch {together}" + _made_of(result),
        options.precision.value,
        f"seed {options.seed}",
    ]
    extras = {
        f"unfrozen every {plural(options.unfreeze_every, 'epoch')}": options.unfreeze_every > 0,
        "averaged weights": options.averaged,
        "class weights": options.class_weights,
        "augmented": options.augment,
        "checkpointing": options.checkpointing,
    }
    yield "Training", ", ".join((*how, *(name for name, on in extras.items() if on)))


def _in_order(examples: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(examples.items(), key=lambda item: (*_SPLITS, item[0]).index(item[0]))


def _made_of(result: FinetuneResult) -> str:
    options = result.options
    parts = [f"{options.batch}"]
    if options.accumulation > 1:
        parts.append(f"{options.accumulation} accumulated")
    if result.processes > 1:
        parts.append(f"{result.processes} processes")
    return f" ({' x '.join(parts)})" if len(parts) > 1 else ""


def _method(result: FinetuneResult) -> str:
    options = result.options
    share = result.parameters_trained / max(1, result.parameters)
    trained = f"{show_count(result.parameters_trained)} parameters ({share:.1%})"
    detail = f", rank {options.rank}" if options.method in {Method.LORA, Method.QLORA} else ""
    if options.method is Method.PREFIX:
        detail = f" of {plural(options.rank, 'token')}"
    return f"{options.method.value}{detail}, {trained}"


def _print_evaluations(console: "Console", result: FinetuneResult) -> None:
    right = result.held_dialogues is None
    heads = [("epoch", 7), ("train loss", 11), ("loss", 9), ("accuracy", 9), ("", 6)]
    table = columns(*(head for head in heads if right or head[0] != "accuracy"))
    rows = list(result.evaluations)
    middle = len(rows) - _ROWS
    for at, one in enumerate(rows):
        if middle > 0 and _ROWS // 2 <= at < len(rows) - _ROWS // 2 and not one.best:
            continue
        kept = one.epoch == result.best_epoch and one.best
        table.add_row(
            styled(f"{one.epoch:g}"),
            styled(_loss_before(result, one.step)),
            styled(f"{one.loss:.4f}"),
            *([styled(f"{one.accuracy or 0.0:.2%}")] if right else []),
            styled("kept" if kept else "", "green"),
        )
    console.print(table)


def _loss_before(result: FinetuneResult, step: int) -> str:
    before = [point.loss for point in result.curve if point.step <= step]
    return f"{before[-1]:.4f}" if before else ""


def _outcome(result: FinetuneResult) -> Iterator[tuple[str, str]]:
    held = result.held_out
    if held is not None:
        yield (
            "Accuracy",
            (
                f"{held.accuracy:.2%} on {show_count(held.examples)} held-out examples, "
                f"{held.lower:.2%} to {held.upper:.2%} (exact {held.confidence:.0%})"
            ),
        )
    if result.held_dialogues is not None:
        yield "Loss", _beside_base(result.held_dialogues)
    yield "Epochs", _epochs(result)
    memory = result.memory
    band = show_bounds(memory.predicted.lower, memory.predicted.upper, Dimension.SIZE)
    yield (
        "Memory",
        (
            f"{show_quantity(memory.measured_bytes, Dimension.SIZE)} measured, "
            f"{show_quantity(memory.predicted.value, Dimension.SIZE)} predicted ({band}): "
            f"{memory.ratio:.2f} x, {'inside' if memory.inside else 'outside'} the band"
        ),
    )
    yield "Time", show_duration(result.seconds)
    yield "Folder", f"{result.folder}, sha256 {result.digest[:16]}"


def _beside_base(held: HeldDialogues) -> str:
    """Loud where nothing was gained."""
    judged = f"{show_count(held.tokens)} tokens of {show_count(held.dialogues)} held-out dialogues"
    said = (
        f"{held.tuned_nll:.4f} nats a token, the base {held.base_nll:.4f}, on {judged}: "
        f"{held.change:+.1%} ({held.lower:+.1%} to {held.upper:+.1%}, {held.confidence:.0%} each)"
    )
    return said if held.better else f"{said}. NOT SHOWN TO BE BETTER THAN THE BASE"


def _data(result: FinetuneResult) -> str:
    held = result.held_dialogues
    if held is None:
        return ""
    if held.documents < _JUDGES:
        return " --data TEXTS"
    return f" --data {_folder(result.folder)}/held-out.jsonl"


def _epochs(result: FinetuneResult) -> str:
    words = f"{result.epochs:g} of {result.options.epochs}, the best at {result.best_epoch:g}"
    if result.stopped:
        words += f"; stopped: {result.stopped}"
    if result.resumed_from is not None:
        words += f"; resumed at step {show_count(result.resumed_from)}"
    return words


def _folder(name: str) -> str:
    """As `--model` takes it: a bare name would be an alias."""
    return name if "/" in name else f"./{name}"
