"""A matrix as one HTML page that stands alone: verdicts, fronts, steps, predictions, cells.

In: a result, and all its cells. Out: a page without scripts or anything fetched, which links to
each bundle's own report beside it. Its list is filtered by style sheets alone. Of very many cells
it holds the foremost, and says how many it leaves out. Refuses (MissingExtraError) where jinja2 is
not installed.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import Final
from urllib.parse import quote

import msgspec

from deployopt.core.errors import MissingExtraError
from deployopt.core.matrix import CellResult, MatrixResult, foremost_cells
from deployopt.core.text import safe_record, safe_text
from deployopt.reports.matrix_pareto import fronts
from deployopt.reports.matrix_tables import by_target, predictions, slowest_steps
from deployopt.reports.matrix_words import (
    MARKS,
    Shown,
    count_words,
    shown_figures,
    took,
    work_words,
)

_TEMPLATE: Final = "matrix.html.j2"
MOST: Final = 2000
"""Rows of the list."""
_SQUARES: Final = 4000
"""Of the heat map, over all its rows."""
COLUMNS: Final = 60
CHOICES: Final = 60
"""Models and targets that the list can be filtered by."""
REPORT: Final = "report.html"
_WHY: Final = 600


class _Square(msgspec.Struct, frozen=True, kw_only=True):
    """A cell as the heat map shows it; `word` is empty where there is no such cell."""

    word: str = ""
    mark: str = ""
    speed: str = ""
    hint: str = ""
    link: str | None = None


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the heat map: a model, in one variant."""

    name: str
    squares: tuple[_Square, ...]


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """A cell in the list."""

    cell: CellResult
    css: str
    link: str | None
    figures: tuple[Shown, ...]
    why: str
    took: str


class _Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What the list can be filtered by; each has a class of its own in the page."""

    targets: tuple[str, ...]
    models: tuple[str, ...]
    unnamed: int
    """Targets and models that cannot be chosen, as there are too many."""


def matrix_page(result: MatrixResult, cells: Sequence[CellResult] | None = None) -> bytes:
    """The page in UTF-8; `cells` are all of them, where the result does not hold all.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("The HTML page of a matrix", "build") from error
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("deployopt.reports").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    cells = result.cells if cells is None else cells
    shown = safe_record(tuple(foremost_cells(cells, MOST)))
    targets, lines, left_out = _heat_map(cells)
    drawn, more = fronts(cells)
    steps, steps_said = slowest_steps(cells)
    pairs, pairs_said = predictions(cells)
    choices = _choices(shown)
    text = environment.from_string(source).render(
        r=safe_record(msgspec.structs.replace(result, cells=())),
        counts=count_words(result),
        work=work_words(result),
        targets=targets,
        lines=lines,
        left_out=left_out,
        by_target=by_target(cells) if left_out else (),
        words=list(MARKS),
        fronts=drawn,
        more_fronts=more,
        steps=steps,
        steps_said=steps_said,
        pairs=pairs,
        pairs_said=pairs_said,
        choices=choices,
        rows=[_row(cell, choices) for cell in shown],
        hidden=len(cells) - len(shown),
        legend=[(word, mark) for word, mark in MARKS.items() if word in result.counts],
    )
    return text.encode("utf-8")


def _choices(cells: Sequence[CellResult]) -> _Choices:
    targets = list(dict.fromkeys(cell.name.target for cell in cells))
    models = list(dict.fromkeys(cell.name.model for cell in cells))
    return _Choices(
        targets=tuple(targets[:CHOICES]),
        models=tuple(models[:CHOICES]),
        unnamed=max(0, len(targets) - CHOICES) + max(0, len(models) - CHOICES),
    )


def _heat_map(cells: Sequence[CellResult]) -> tuple[list[str], list[_Line], str]:
    """Targets, lines, and what had to be left out."""
    targets = list(dict.fromkeys(cell.name.target for cell in cells))
    by_line: dict[tuple[str, str | None], dict[str, CellResult]] = {}
    for cell in cells:
        by_line.setdefault((cell.name.model, cell.name.variant), {})[cell.name.target] = cell
    columns = targets[:COLUMNS]
    lines = [
        _Line(
            name=model if variant is None else f"{model}, {variant}",
            squares=tuple(_square(found.get(target)) for target in columns),
        )
        for (model, variant), found in list(by_line.items())[: max(1, _SQUARES // len(columns))]
    ]
    gone = [
        f"{count} {what}"
        for count, what in (
            (len(by_line) - len(lines), "more models"),
            (len(targets) - len(columns), "more targets"),
        )
        if count > 0
    ]
    return columns, lines, " and ".join(gone)


def _square(cell: CellResult | None) -> _Square:
    if cell is None:
        return _Square()
    speed = shown_figures(cell)[0]
    said = [cell.name.id, cell.word.value, cell.recipe or "", cell.summary]
    return _Square(
        word=cell.word.value,
        mark=MARKS[cell.word.value],
        speed=speed.value,
        hint=safe_text(": ".join(part for part in said if part), _WHY),
        link=_link(cell),
    )


def _row(cell: CellResult, choices: _Choices) -> _Row:
    css = [f"w-{cell.word.value}"]
    for letter, name, known in (
        ("t", cell.name.target, choices.targets),
        ("m", cell.name.model, choices.models),
    ):
        if name in known:
            css.append(f"{letter}{known.index(name)}")
    return _Row(
        cell=cell,
        css=" ".join(css),
        link=_link(cell),
        figures=shown_figures(cell),
        why=cell.summary[:_WHY],
        took=took(cell.seconds),
    )


def _link(cell: CellResult) -> str | None:
    """To the bundle's own page, or the page of a rejected cell."""
    if cell.bundle is not None:
        return f"{quote(cell.bundle)}/{REPORT}"
    return None if cell.page is None else quote(cell.page)
