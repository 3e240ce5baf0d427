"""A matrix for machines: JUnit with one case a cell, OpenMetrics text for a nightly job."""

import math
import re
from typing import Final

from deployopt.core.matrix import CellResult, MatrixResult
from deployopt.core.metric import METRICS
from deployopt.core.text import safe_record
from deployopt.reports.ci_record import UNIT_NAMES, CiCase, CiSummary
from deployopt.reports.matrix_words import count_words, shown_figures, took

_UNSAFE: Final = re.compile(r"[^][A-Za-z0-9._/@+-]+")
_LABEL_MAX: Final = 80
_WORST: Final = {
    0: "accepted", 1: "rejected", 2: "failed", 3: "undecided", 4: "failed", 5: "failed",
}  # fmt: skip


def matrix_summary(result: MatrixResult) -> CiSummary:
    """The record that CI renderings rest on."""
    result = safe_record(result)
    return CiSummary(
        name="matrix",
        target=_targets(result),
        word=_WORST.get(result.exit_code, "failed"),
        exit_code=result.exit_code,
        says=count_words(result),
        cases=tuple(_case(cell) for cell in result.cells),
        seconds=result.seconds,
    )


def _targets(result: MatrixResult) -> str:
    names = {cell.name.target for cell in result.cells}
    return next(iter(names)) if len(names) == 1 else f"{len(names)} targets"


def _case(cell: CellResult) -> CiCase:
    figures = [
        f"{shown.metric}: {shown.value} ({', '.join(filter(None, (shown.bounds, shown.evidence)))})"
        for shown in shown_figures(cell)
        if shown.value
    ]
    return CiCase(
        name=cell.name.id,
        title=cell.name.id,
        # A provisional cell that the matrix takes passes, whatever its neighbours came to.
        word="accepted" if cell.exit_code == 0 else cell.word.value,
        message=cell.summary,
        details=(
            f"cell: {cell.word.value}, exit {cell.exit_code}",
            *([f"recipe: {cell.recipe}"] if cell.recipe else []),
            *figures,
            f"took: {took(cell.seconds)}{', in an earlier call' if cell.reused else ''}",
        ),
    )


def matrix_metrics(result: MatrixResult) -> bytes:
    """Gauges by cell, sorted, with `# EOF` at the end; a textfile collector reads it."""
    gauges: dict[tuple[str, str], list[str]] = {}

    def add(name: str, unit: str, labels: str, value: float | None) -> None:
        if value is not None and math.isfinite(value):
            full = f"{name}_{unit}" if unit else name
            gauges.setdefault((full, unit), []).append(f"{full}{labels} {_number(value)}")

    for cell in result.cells:
        labels = _labels(cell)
        add("deployopt_cell_accepted", "", labels, float(cell.exit_code == 0))
        add("deployopt_cell_exit_code", "", labels, float(cell.exit_code))
        add("deployopt_cell_duration", "seconds", labels, cell.seconds)
        for name, figure in cell.figures.items():
            if name in METRICS:
                unit = UNIT_NAMES[METRICS[name].dimension]
                add(f"deployopt_cell_{name}", unit, labels, figure.value)
                add(f"deployopt_cell_{name}_upper", unit, labels, figure.upper)
    add("deployopt_matrix_duration", "seconds", "", result.seconds)
    add("deployopt_matrix_exit_code", "", "", float(result.exit_code))
    lines = []
    for (name, unit), samples in sorted(gauges.items()):
        lines.append(f"# TYPE {name} gauge")
        lines += [f"# UNIT {name} {unit}"] if unit else []
        lines += sorted(samples)
    return "\n".join([*lines, "# EOF", ""]).encode()


def _labels(cell: CellResult) -> str:
    named = (
        ("model", cell.name.model),
        ("target", cell.name.target),
        ("variant", cell.name.variant or ""),
    )
    return "{" + ",".join(f'{name}="{_label(text)}"' for name, text in named if text) + "}"


def _label(text: str) -> str:
    return _UNSAFE.sub("_", text)[:_LABEL_MAX]


def _number(value: float) -> str:
    value = float(value)  # JSON has whole numbers, too
    return f"{value:.0f}" if value.is_integer() and abs(value) < 2**53 else f"{value:.6g}"
