"""What `export` wrote, for a person.

In: a result record. Out: text for 80 columns on stderr.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from deployopt.core.exporting import ExportResult
from deployopt.core.text import safe_record, safe_text
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.layout import command, facts, heading, stderr_console, styled
from deployopt.reports.words import plural, show_bounds

if TYPE_CHECKING:
    from rich.console import Console

_SERVERS: Final = {"docker": "Docker", "triton": "Triton", "vllm": "vLLM"}
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
    said = [f"{name}: {value}" for name, value in result.settings.items()]
    _list(console, "What it is told", said)
    judged = "What the bundle was judged by; the server itself has not run"
    _list(console, judged, result.evidence)
    expected = "What is expected; every number is predicted, nothing has run"
    _list(console, expected, list(_figures(result)))
    if result.todo:
        heading(console, "To do before it can be served")
        facts(console, (("", text) for text in result.todo))
    if result.start is not None:
        heading(console, f"To serve it where {_SERVERS.get(result.form, 'that')} is installed")
        command(console, result.start)
    console.print()
    console.print(styled(f"exit {result.exit_code}", "dim"))


def _list(console: "Console", title: str, lines: Sequence[str]) -> None:
    """Nothing where there are no lines."""
    if lines:
        heading(console, title)
    for line in lines:
        console.print(styled(f"  {safe_text(line, 78)}"))


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
