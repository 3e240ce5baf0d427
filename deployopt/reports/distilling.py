"""A student beside its teacher, for a person at a terminal of 80 columns.

In: the result of `distill`. Out: text on stderr; the command that goes on from there comes last.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from deployopt.core.counts import show_short
from deployopt.core.distill_result import DistillResult, EpochScore, ModelShape, Share
from deployopt.core.text import safe_record, safe_text
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.layout import columns, command, facts, heading, stderr_console, styled
from deployopt.reports.words import NOTHING, plural, show, show_count

if TYPE_CHECKING:
    from rich.console import Console

_STOPPED = {
    "epochs": "all epochs were done",
    "no better": "it got no better",
    "time limit": "the time limit was reached",
}
_TITLE = 78


def print_distill(result: DistillResult, console: "Console | None" = None) -> None:
    """Sizes, accuracies, how it learned, and what to do with it."""
    console = console or stderr_console()
    said = safe_record(result)
    console.print(styled(safe_text(f"A student of {said.teacher}", _TITLE), "bold"))
    facts(console, _facts(said))
    heading(console, "Teacher and student")
    _print_pair(console, said)
    console.print()
    facts(console, _losses(said))
    heading(console, "How it learned")
    _print_epochs(console, said)
    console.print()
    console.print(styled("Judge and quantize it for a device with:", "dim"))
    command(console, f"deployopt build --model {result.folder} --target NAME")


def _facts(said: DistillResult) -> Iterator[tuple[str, str]]:
    origin = said.student
    if said.kept_layers:
        origin += f", layers {', '.join(map(str, said.kept_layers))} kept"
    yield "Student", origin + (", made before and found in the store" if said.reused else "")
    splits = ", ".join(f"{show_count(count)} {name}" for name, count in said.splits.items())
    yield "Data", f"{said.data}: {splits}"
    yield from (("", note) for note in said.notes)
    yield "Folder", said.folder
    yield "Digest", said.digest[:16]
    total = sum(said.seconds.values())
    yield "Took", show_quantity(total, Dimension.TIME)


def _print_pair(console: "Console", said: DistillResult) -> None:
    table = columns(("", 22), ("teacher", 24), ("student", 24))
    rows = [
        ("layers", _size(said.before, "layers"), _size(said.after, "layers")),
        ("feed-forward neurons", _size(said.before, "ffn"), _size(said.after, "ffn")),
        ("heads", _size(said.before, "heads"), _size(said.after, "heads")),
        ("parameters", show_short(said.before.parameters), show_short(said.after.parameters)),
        (f"work, {said.after.length} tokens", _work(said.before), _work(said.after)),
        ("accuracy, held out", _share(said.teacher_accuracy), _share(said.student_accuracy)),
    ]
    for name, *cells in rows:
        table.add_row(styled(name, "dim"), *(styled(cell) for cell in cells))
    console.print(table)


def _losses(said: DistillResult) -> Iterator[tuple[str, str]]:
    if said.macs_ratio is not None:
        yield "Work", f"{said.macs_ratio:.2f} times less than the teacher's"
    bound = (
        f"at most {show(said.loss.upper, Dimension.SHARE)} with {said.confidence:.0%} confidence"
    )
    if said.teacher_accuracy is None:
        words = f"{bound}, if the teacher is always right: nothing is labelled"
    else:
        counts = f"{said.lost} lost and {said.gained} gained"
        examples = plural(said.agreement.n, "held-out example")
        lost = show(said.loss.estimate, Dimension.SHARE)
        words = f"{lost}, {bound}: {counts} of {examples}"
    yield "Loss", words
    yield "Agrees", f"{_share(said.agreement)} with the teacher"


def _print_epochs(console: "Console", said: DistillResult) -> None:
    table = columns(("epoch", 8), ("loss", 10), ("agreement", 11), ("divergence", 11), ("", 8))
    for score in said.lessons.epochs:
        table.add_row(*(styled(cell) for cell in _epoch(score, best=said.lessons.best_epoch)))
    console.print(table)
    why = _STOPPED.get(said.lessons.stopped, said.lessons.stopped)
    words = f"  on the validation split; {plural(said.lessons.steps, 'step')}; it ended as {why}"
    console.print(styled(words, "dim"))


def _epoch(score: EpochScore, *, best: int) -> tuple[str, ...]:
    return (
        "before" if score.epoch == 0 else str(score.epoch),
        NOTHING if score.loss is None else f"{score.loss:.4f}",
        f"{score.agreement:.2%}",
        f"{score.divergence:.4f}",
        "← kept" if score.epoch == best else "",
    )


def _size(shape: ModelShape, name: str) -> str:
    number: int = getattr(shape, name)
    return show_count(number)


def _work(shape: ModelShape) -> str:
    return NOTHING if shape.macs is None else f"{show_short(shape.macs)} multiply-adds"


def _share(share: Share | None) -> str:
    if share is None:
        return NOTHING
    return f"{share.estimate:.2%} ({share.lower * 100:.1f} to {share.upper * 100:.1f})"
