"""What `export` wrote, for a person.

In: a result record. Out: text for 80 columns on stderr.
"""

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from deployopt.core.exporting import ExportResult
from deployopt.core.text import safe_record, safe_text
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.layout import command, facts, heading, stderr_console, styled
from deployopt.reports.words import plural, show_bounds

if TYPE_CHECKING:
    from rich.console import Console

_FIGURES: Final = (
    ("memory_bytes", "memory of a device", Dimension.SIZE),
    ("ttft_s", "first token", Dimension.TIME),
    ("decode_tps", "tokens a second, one request", None),
)


def print_exported(result: ExportResult, console: "Console | None" = None) -> None:
    """What was written, what is expected of it, and how it is started."""
    console = console or stderr_console()
    result = safe_record(result)
    on = "" if result.target is None else f" on {result.target}"
    console.print(styled(safe_text(f"{result.source} for {result.form}{on}", 78), "bold"))
    facts(console, _facts(result))
    if result.settings:
        heading(console, "What it is told")
        for name, value in result.settings.items():
            console.print(styled(f"  {safe_text(f'{name}: {value}', 78)}"))
    figures = list(_figures(result))
    if figures:
        heading(console, "What is expected; every number is predicted, nothing has run")
        for line in figures:
            console.print(styled(f"  {line}"))
    if result.todo:
        heading(console, "To do before it can be served")
        facts(console, (("", text) for text in result.todo))
    if result.form == "vllm":
        heading(console, "To serve it where vLLM is installed")
        command(console, f"sh {shlex.quote(result.output)}/serve.sh")
    console.print()
    console.print(styled(f"exit {result.exit_code}", "dim"))


def _facts(result: ExportResult) -> Iterator[tuple[str, str]]:
    size = show_quantity(sum(entry.size_bytes for entry in result.files), Dimension.SIZE)
    yield "Model", f"{result.model}, {result.precision}"
    yield "Holds", f"{plural(len(result.files), 'file')}, {size}"
    yield "Written", result.output
    yield from (("Warning", warning) for warning in result.warnings)


def _figures(result: ExportResult) -> Iterator[str]:
    for name, words, dimension in _FIGURES:
        found = result.predicted.get(name)
        if found is None:
            continue
        if dimension is None:
            yield f"{words}: {found.lower:.0f} to {found.upper:.0f}"
        else:
            yield f"{words}: {show_bounds(found.lower, found.upper, dimension)}"
