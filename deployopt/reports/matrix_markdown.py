"""A matrix for a pull request or a step summary: GitHub Markdown, counts first, a row a cell.

In: a result. Out: text in which nothing that came from a model or a file is markup; of very many
cells it holds the foremost, and says how many it leaves out.
"""

from typing import Final

from deployopt.core.matrix import CellResult, MatrixResult, foremost_cells
from deployopt.core.text import safe_record, safe_text
from deployopt.reports.markdown_text import ICONS, escape, table
from deployopt.reports.matrix_words import SHOWN, count_words, shown_figures, work_words

MOST: Final = 200
_WHY: Final = 300
_FAILED: Final = "💥"


def matrix_markdown(result: MatrixResult) -> str:
    """The counts, a table, why some are not accepted."""
    result = safe_record(result)
    shown = foremost_cells(result.cells, MOST)
    heads = [column for column, _ in SHOWN]
    lines = [f"### {escape(count_words(result))}", "", escape(work_words(result)), ""]
    lines += table(["", "cell", "recipe", *heads], [_row(cell) for cell in shown])
    if len(shown) < result.total:
        lines += ["", f"{result.total - len(shown)} more are not shown here."]
    reasons = [
        f"- {escape(cell.name.id)}: {cell.word.value}: {escape(safe_text(cell.summary, _WHY))}"
        for cell in shown
        if cell.exit_code != 0
    ]
    return "\n".join([*lines, "", *reasons]).rstrip() + "\n"


def _row(cell: CellResult) -> list[str]:
    return [
        ICONS.get(cell.word.value, _FAILED),
        escape(cell.name.id),
        escape(cell.recipe or ""),
        *(escape(shown.value) for shown in shown_figures(cell)),
    ]
