"""Every shipped target is shown whole at 80 columns."""

import io

from rich.console import Console

from deployopt.planning.targets import load_target, target_names
from deployopt.reports.targets import print_target, print_targets


def console() -> Console:
    return Console(file=io.StringIO(), width=80, highlight=False, markup=False)


def text_of(made: Console) -> str:
    assert isinstance(made.file, io.StringIO)
    return made.file.getvalue()


def test_the_list_names_each_on_a_line_of_its_own() -> None:
    made = console()
    print_targets([load_target(name) for name in target_names()], made)
    lines = text_of(made).splitlines()
    assert all(len(x.rstrip()) <= 80 for x in lines)
    for name in target_names():
        assert sum(x.startswith(f"{name} ") for x in lines) == 1
    assert "…" not in text_of(made)


def test_each_in_full() -> None:
    for name in target_names():
        made = console()
        target = load_target(name)
        print_target(target, made)
        text = text_of(made)
        assert all(len(x.rstrip()) <= 80 for x in text.splitlines())
        assert str(target.hardware.memory_usable) in text
        assert "Budgets" in text
        assert "Workload" in text
