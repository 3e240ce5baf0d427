"""The graph of steps for a terminal of 80 columns: a tree a model, then what each cell would try.

In: a StepGraphResult. Out: text. A step stands under the one that it takes its input from; what is
stored is marked and is not run.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from deployopt.core.step_graph import PlannedCell, PlannedStep, StepGraphResult, StepState
from deployopt.core.text import safe_record, safe_text
from deployopt.reports.layout import (
    columns,
    facts,
    heading,
    joined,
    listing,
    stderr_console,
    styled,
)
from deployopt.reports.time_left import duration_words

if TYPE_CHECKING:
    from rich.console import Console

STEPS: Final = 60
CELLS: Final = 60
"""Rows of each; `--json` has them all."""
_STEP: Final = 30
_STATE: Final = 8
_RECIPES: Final = 16
_CELLS: Final = 23
_NAME: Final = 30
_FEW: Final = 3
_DEEPEST: Final = 6
"""Steps further down stand no further to the right."""
_WHY: Final = 400
_STYLES: Final = {
    StepState.STORED: "green",
    StepState.SHARED: "cyan",
    StepState.TO_MAKE: "",
    StepState.UNKNOWN: "yellow",
}


def print_step_graph(result: StepGraphResult, console: "Console | None" = None) -> None:
    """The tree, the cells, the sum."""
    console = console or stderr_console()
    result = safe_record(result)
    if result.steps:
        heading(console, "Steps, each of which is run once")
        _print_steps(console, result)
    heading(console, "Cells")
    _print_cells(console, result.cells)
    notes = list(dict.fromkeys(note for cell in result.cells for note in cell.notes))
    console.print()
    facts(console, [*_sum(result), *(("Note", note) for note in notes)])
    console.print()
    console.print(styled(f"exit {result.exit_code}", "dim"))


def tree_of(steps: Sequence[PlannedStep]) -> Iterator[tuple[int, PlannedStep]]:
    """Each with its depth, after the one that it follows: model by model, branch by branch."""
    after: dict[tuple[str, str | None], list[PlannedStep]] = {}
    for step in steps:
        after.setdefault((step.model, step.after), []).append(step)
    for model in dict.fromkeys(step.model for step in steps):
        stack = [(0, step) for step in reversed(after.get((model, None), []))]
        while stack:
            depth, step = stack.pop()
            yield depth, step
            stack += [(depth + 1, one) for one in reversed(after.get((model, step.id), []))]


def _print_steps(console: "Console", result: StepGraphResult) -> None:
    table = columns(("step", _STEP), ("", _STATE), ("for", _RECIPES), ("cells", _CELLS))
    model = None
    for depth, step in list(tree_of(result.steps))[:STEPS]:
        if step.model != model:
            model = step.model
            table.add_row(styled(joined(model.split("-"), "-", _STEP), "bold"), "", "", "")
        table.add_row(
            styled(_step_words(depth, step)),
            styled(step.state.value, _STYLES[step.state]),
            styled(joined(step.recipes, ", ", _RECIPES)),
            styled(_cells_words(step, result)),
        )
    console.print(table)
    if len(result.steps) > STEPS:
        console.print(styled(f"and {len(result.steps) - STEPS} more; --json has them all", "dim"))


def _step_words(depth: int, step: PlannedStep) -> str:
    """The name behind a hook, unusual options under it; what is too long for a line is cut."""
    lead = "  " * min(depth, _DEEPEST) + "└ "
    width = _STEP - len(lead)
    parts = [step.name, *(step.options.split(", ") if step.options else [])]
    pieces = [part[k : k + width] for part in parts for k in range(0, len(part), width)]
    lines = joined(pieces, " ", width).splitlines()
    return "\n".join((lead if at == 0 else " " * len(lead)) + one for at, one in enumerate(lines))


def _cells_words(step: PlannedStep, result: StepGraphResult) -> str:
    """Names where they are few; the model's part of them stands above."""
    names = {cell.name.id: cell.name for cell in result.cells}
    if len(step.cells) > _FEW:
        return f"{len(step.cells)} cells"
    short = [f"{names[c].target}{'-' + v if (v := names[c].variant) else ''}" for c in step.cells]
    return joined(short, ", ", _CELLS)


def _print_cells(console: "Console", cells: Sequence[PlannedCell]) -> None:
    table = columns(("cell", _NAME), ("tries", 26), ("takes about", 21))
    refused = [cell for cell in cells if cell.refused is not None]
    for cell in cells[:CELLS]:
        table.add_row(
            styled(joined(cell.name.id.split("-"), "-", _NAME)),
            styled(_tries(cell), "red" if cell.refused is not None else ""),
            styled(_takes(cell)),
        )
    console.print(table)
    if len(cells) > CELLS:
        console.print(styled(f"and {len(cells) - CELLS} more; --json has them all", "dim"))
    if refused:
        console.print()
        pairs = [(cell.name.id, safe_text(cell.refused or "", _WHY)) for cell in refused[:CELLS]]
        listing(console, pairs, _NAME)


def _tries(cell: PlannedCell) -> str:
    if cell.finished:
        return "done by an earlier call"
    if cell.refused is not None:
        return f"nothing, exit {cell.exit_code}"
    return joined(cell.recipes, ", ", 26)


def _takes(cell: PlannedCell) -> str:
    expected = None if cell.plan is None else cell.plan.build_s
    if expected is None or cell.refused is not None:
        return ""
    return _band(expected.lower, expected.upper)


def _sum(result: StepGraphResult) -> Iterator[tuple[str, str]]:
    cells = len(result.cells) + result.left_out
    left = f"; {result.left_out} of them are not planned here" if result.left_out else ""
    yield "Cells", f"{cells}{left}"
    distinct = len(result.steps)
    shared = "" if result.share is None else f"{result.shared} shared, "
    unknown = f", {result.unknown} unknown" if result.unknown else ""
    yield (
        "Steps",
        (
            f"{result.asked} asked for, {distinct} different ones; {result.stored} stored, "
            f"{shared}{result.to_make} to make{unknown}"
        ),
    )
    if result.build_s is not None:
        band = _band(result.build_s.lower, result.build_s.upper)
        yield "Building", f"takes about {band} here, were each cell built alone, one by one"
    yield "Store", result.store
    if result.share is not None:
        yield "Share", result.share
    yield from (("Warning", warning) for warning in result.warnings)


def _band(lower: float, upper: float) -> str:
    low, high = duration_words(lower), duration_words(upper)
    unit = high.rpartition(" ")[2]
    return f"{low.removesuffix(f' {unit}')} to {high}"
