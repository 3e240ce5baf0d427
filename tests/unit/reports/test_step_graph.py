"""The tree of steps at 80 columns, what is stored, and why a cell is refused."""

import io

import msgspec
from rich.console import Console

from deployopt.core.step_graph import PlannedStep, StepGraphResult, StepState
from deployopt.reports.step_graph import CELLS, STEPS, print_step_graph, tree_of
from tests.fakes import step_graphs


def printed(result: StepGraphResult) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    print_step_graph(result, console)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_steps_stand_under_what_they_are_made_of() -> None:
    lines = printed(step_graphs.graph())
    at = {line.split()[1]: line for line in lines if "└ " in line}
    assert at["export"].startswith("└ export")
    assert "stored" in at["export"]
    assert at["optimize"].startswith("  └ optimize")
    assert "to make" in at["optimize"]
    assert at["quantize"].startswith("    └ quantize")
    assert at["quantize"].rstrip().endswith("x86")
    assert "rpi4, x86" in at["export"]
    assert any("reduce_range=true" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_the_sum_the_notes_and_the_refused_are_said() -> None:
    text = "\n".join(printed(step_graphs.graph()))
    assert "4 asked for, 3 different ones; 1 stored, 2 to make" in text
    assert "nothing, exit 1" in text
    assert "cannot fit tiny" in text
    assert "done by an earlier call" in text
    assert "Something to know." in text
    assert "exit 1" in text


def test_branches_come_one_after_the_other_and_models_apart() -> None:
    def step(name: str, after: str | None, model: str) -> PlannedStep:
        made = step_graphs.step(name, after, StepState.TO_MAKE, ("c",))
        return msgspec.structs.replace(made, model=model)

    steps = [
        step("a", None, "m"),
        step("z", None, "n"),
        step("b", "a", "m"),
        step("c", "a", "m"),
        step("d", "b", "m"),
    ]
    order = [(depth, one.id) for depth, one in tree_of(steps)]
    assert order == [(0, "a"), (1, "b"), (2, "d"), (1, "c"), (0, "z")]


def test_very_many_are_bounded_and_a_stranger_writes_text() -> None:
    graph = step_graphs.graph()
    steps = tuple(
        msgspec.structs.replace(graph.steps[0], id=f"s{n}", name="\x1b[31mred") for n in range(200)
    )
    lines = printed(
        msgspec.structs.replace(graph, steps=steps, cells=graph.cells * 100, left_out=7)
    )
    text = "\n".join(lines)
    assert f"and {200 - STEPS} more; --json has them all" in text
    assert f"and {400 - CELLS} more; --json has them all" in text
    assert "407; 7 of them are not planned here" in text
    assert "\x1b" not in text
