"""What an emulated ARM processor gave, for a person at a terminal of 80 columns.

In: the result of `emulate`. Out: text on stderr: answers, install, instructions, and the outcome
last. Instructions are called that, and never a time.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from deployopt.core.counts import show_short
from deployopt.core.emulation import (
    CountsCompared,
    EmulateResult,
    InstructionCounts,
    InstructionKind,
    Numerics,
)
from deployopt.core.text import safe_record, safe_text
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.layout import STYLES, columns, facts, heading, stderr_console, styled
from deployopt.reports.words import MARKS, NOTHING, plural, show_count

if TYPE_CHECKING:
    from rich.console import Console

WORDS: Final[dict[InstructionKind, str]] = {
    InstructionKind.FLOAT_MULTIPLY_ADD: "float multiply-add (FMLA)",
    InstructionKind.FLOAT_OTHER: "other floating point",
    InstructionKind.DOT: "8-bit dot product (SDOT)",
    InstructionKind.INTEGER_MULTIPLY: "integer multiply (SMLAL)",
    InstructionKind.VECTOR_OTHER: "other vector",
    InstructionKind.LOAD: "loads",
    InstructionKind.STORE: "stores",
    InstructionKind.BRANCH: "branches",
    InstructionKind.OTHER: "other",
}
_TITLE: Final = 78
_LARGEST: Final = 4
_GOOD_FOR: Final = (
    "From run to run the arithmetic is the same, the whole within 0.1 %: compare builds by it, or "
    "int8 with float on one processor. It is not latency: caches, memory and pipelines are not in "
    "it."
)


def print_emulation(result: EmulateResult, console: "Console | None" = None) -> None:
    """Where, what it answered, what is installed, what an inference executes, and the outcome."""
    console = console or stderr_console()
    said = safe_record(result)
    console.print(
        styled(safe_text(f"{said.name} on an emulated {said.target_title}", _TITLE), "bold")
    )
    facts(console, _facts(said))
    heading(console, "Answers, against this machine's")
    facts(console, _answers(said.numerics, said.gate_examples))
    heading(console, f"Instructions of one inference, {_requests(said.counts)}, one thread")
    _print_counts(console, said.counts, said.compared)
    facts(console, [("", _GOOD_FOR)])
    console.print()
    word = said.outcome.value
    console.print(styled(f"{MARKS[word]} {word}", STYLES[word]))
    facts(console, [("", f"{reason}.") for reason in said.reasons])
    for warning in said.warnings:
        facts(console, [("Note", f"{warning}.")])


def _facts(said: EmulateResult) -> Iterator[tuple[str, str]]:
    yield "Processor", f"{said.processor}, {said.emulator}"
    here = said.onnxruntime_here
    same = "as here" if here == said.onnxruntime else f"{here or 'none'} here"
    yield "Runtime", f"onnxruntime {said.onnxruntime} ({same}), Python {said.install.python}"
    yield "Bundle", f"{said.precision}, {_size(said.deployed_bytes)} to deploy: {said.bundle}"
    install = said.install
    sizes = sorted(install.sizes.items(), key=lambda item: (-item[1], item[0]))[:_LARGEST]
    most = ", ".join(f"{name} {_size(size)}" for name, size in sizes)
    many = plural(len(install.versions), "distribution")
    modules = plural(len(install.imported), "module")
    size = _size(install.size_bytes)
    yield "Install", f"{many}, {size} for aarch64 ({most}); {modules} imported there"
    took = show_quantity(sum(said.seconds.values()), Dimension.TIME)
    yield "Took", f"{took} on this machine"


def _answers(found: Numerics, available: int) -> Iterator[tuple[str, str]]:
    yield "Examples", f"{show_count(found.examples)} of {show_count(available)} of the gate's"
    if found.same_class is not None:
        yield "Classes", f"{found.same_class} of {found.examples} are the same"
    limit = "" if found.rms_allowed is None else f" (may be {found.rms_allowed:g})"
    apart = f"worst {found.worst:.2g}, root mean square {found.rms:.2g}{limit}"
    within = f"{found.within} of {found.requests} within {found.tolerance:g} of the greatest"
    yield "Outputs", f"{within}; {apart}"
    yield (
        "Reference",
        f"agrees on {found.agree_reference} there, on {found.agree_reference_here} here",
    )


def _print_counts(
    console: "Console", counts: InstructionCounts, compared: CountsCompared | None
) -> None:
    named = [("", 27), ("instructions", 13), ("share", 8)]
    if compared is not None:
        named += [("earlier", 11), ("ratio", 8)]
    table = columns(*named)
    for kind, words in WORDS.items():
        table.add_row(styled(words, "dim"), *map(styled, _cells(kind, counts, compared)))
    table.add_row(styled("all"), *map(styled, _cells(None, counts, compared)))
    console.print(table)
    if compared is not None:
        about = f"{compared.name}, {compared.precision} on {compared.processor}"
        facts(console, [("Earlier", f"{about}, onnxruntime {compared.onnxruntime}")])


def _cells(
    kind: InstructionKind | None, counts: InstructionCounts, compared: CountsCompared | None
) -> Iterator[str]:
    each, whole = counts.each(kind), counts.each()
    yield show_short(round(each)) if each else NOTHING
    yield f"{each / whole:.1%}" if each else NOTHING
    if compared is not None:
        then = compared.counts.each(kind)
        yield show_short(round(then)) if then else NOTHING
        yield f"{each / then:.4f}" if each and then else NOTHING


def _requests(counts: InstructionCounts) -> str:
    return "the first request" if counts.requests == 1 else f"mean of {counts.requests}"


def _size(size_bytes: int) -> str:
    return show_quantity(size_bytes, Dimension.SIZE)
