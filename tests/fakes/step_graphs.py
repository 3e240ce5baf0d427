"""A graph of steps: two targets that share an export, one of them with a form of its own."""

from deployopt.core.matrix import CellName
from deployopt.core.step_graph import PlannedCell, PlannedStep, StepGraphResult, StepState

CELLS = ("demo-rpi4", "demo-x86")


def step(name: str, after: str | None, state: StepState, cells: tuple[str, ...]) -> PlannedStep:
    """Its id is its name."""
    return PlannedStep(
        id=name,
        after=after,
        model="demo",
        name=name,
        options="reduce_range=true" if name == "quantize" else "",
        state=state,
        recipes=("float", "int8") if len(cells) > 1 else ("int8",),
        cells=cells,
    )


def graph() -> StepGraphResult:
    """One of them cannot be built for a third target."""
    return StepGraphResult(
        store="/store",
        cells=(
            PlannedCell(
                name=CellName(model="demo", target="rpi4"),
                recipes=("float",),
                steps=("export",),
            ),
            PlannedCell(
                name=CellName(model="demo", target="x86"),
                recipes=("float", "int8"),
                steps=("export", "optimize", "quantize"),
                notes=("Something to know.",),
            ),
            PlannedCell(
                name=CellName(model="demo", target="tiny"),
                refused="demo cannot fit tiny: it has 64 KiB.",
                exit_code=1,
            ),
            PlannedCell(name=CellName(model="old", target="rpi4"), finished=True),
        ),
        steps=(
            step("export", None, StepState.STORED, CELLS),
            step("optimize", "export", StepState.TO_MAKE, CELLS),
            step("quantize", "optimize", StepState.TO_MAKE, CELLS[1:]),
        ),
        asked=4,
        stored=1,
        to_make=2,
        exit_code=1,
    )
