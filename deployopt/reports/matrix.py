"""A matrix for a terminal: a row a cell, what is open under it, the sum at the end.

Made for 80 columns. Of very many cells the first and the worst are shown; `--json` and the page
have all of them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from deployopt.core.matrix import CellResult, MatrixResult, foremost_cells
from deployopt.core.text import safe_record, safe_text
from deployopt.reports.layout import (
    STYLES,
    columns,
    facts,
    joined,
    listing,
    stderr_console,
    styled,
)
from deployopt.reports.matrix_words import MARKS, count_words, shown_figures, took, work_words

if TYPE_CHECKING:
    from rich.console import Console

MOST: Final = 60
"""Rows of the table."""
_CELL: Final = 22
_RECIPE: Final = 10
_WHY: Final = 400
_REASONS: Final = 12
STYLE_OF_FAILED: Final = "bold red"


def print_matrix(result: MatrixResult, console: "Console | None" = None) -> None:
    """The table, why some are not accepted, where everything is."""
    console = console or stderr_console()
    result = safe_record(result)
    shown = foremost_cells(result.cells, MOST)
    console.print()
    _print_table(console, shown)
    if len(shown) < result.total:
        console.print(styled(f"and {result.total - len(shown)} more", "dim"))
    _print_reasons(console, [cell for cell in shown if cell.exit_code != 0])
    console.print()
    facts(
        console,
        [
            ("Cells", count_words(result)),
            ("Work", work_words(result)),
            *([("Page", result.page)] if result.page else []),
            *(("Warning", warning) for warning in result.warnings),
        ],
    )
    console.print()
    console.print(styled(f"exit {result.exit_code}", "dim"))


def _print_table(console: "Console", cells: Sequence[CellResult]) -> None:
    table = columns(
        ("", 1), ("cell", _CELL), ("recipe", _RECIPE), ("speed", 10), ("quality", 9),
        ("memory", 9), ("size", 9),
    )  # fmt: skip
    for cell in cells:
        values = [shown.value or "" for shown in shown_figures(cell)]
        word = cell.word.value
        table.add_row(
            styled(MARKS[word], style_of(word)),
            styled(joined(cell.name.id.split("-"), "-", _CELL)),
            styled(joined((cell.recipe or "").split(" "), " ", _RECIPE)),
            *(styled(value) for value in values),
        )
    console.print(table)


def _print_reasons(console: "Console", cells: Sequence[CellResult]) -> None:
    if not cells:
        return
    console.print()
    pairs = [(cell.name.id, _reason(cell)) for cell in cells[:_REASONS]]
    listing(console, pairs, _CELL)
    if len(cells) > _REASONS:
        console.print(styled(f"  and {len(cells) - _REASONS} more; the page has them all", "dim"))


def _reason(cell: CellResult) -> str:
    settle = f" {cell.settle}" if cell.settle else ""
    return f"{cell.word.value}: {safe_text(cell.summary, _WHY)}{settle}"


def style_of(word: str) -> str:
    """Its colour."""
    return STYLES.get(word, STYLE_OF_FAILED)


def cell_line(cell: CellResult) -> str:
    """One line of a log: `✓ a-b  accepted  int8  12.3 s`."""
    seconds = took(cell.seconds) if cell.seconds else ""  # nothing was begun
    parts = [cell.name.id, cell.word.value, cell.recipe or "", seconds]
    return f"{MARKS[cell.word.value]} {'  '.join(part for part in parts if part)}"
