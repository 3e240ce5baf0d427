"""Two processes come to one step at the same moment: it runs once, whoever dies on the way."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.functional.conftest import ROOT, child_environment

SLOW_S = 1.0


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list["subprocess.Popen[str]"]]:
    """Both ready, none begun."""
    command = [sys.executable, "-m", "tests.fakes.slow_step", str(tmp_path / "store"), str(SLOW_S)]
    with ExitStack() as stack:
        found = []
        for _ in range(2):
            process = subprocess.Popen(
                command, cwd=ROOT, env=child_environment(), text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
            stack.enter_context(process)
            stack.callback(process.kill)
            found.append(process)
        for process in found:
            assert line(process) == "ready"
        yield found


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_one_makes_it_and_the_other_waits(two: list["subprocess.Popen[str]"]) -> None:
    for process in two:
        go(process)
    said = [[text.split()[0] for text in process.communicate(timeout=60)[0].splitlines()]
            for process in two]  # fmt: skip
    assert sorted(said) == [["begun", "made"], ["found"]]


def test_a_maker_that_is_killed_is_not_waited_for(two: list["subprocess.Popen[str]"]) -> None:
    first, second = two
    go(first)
    assert line(first) == "begun"
    go(second)
    first.kill()
    assert line(second) == "begun"
    assert line(second).startswith("made ")
