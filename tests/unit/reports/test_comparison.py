"""A comparison at 80 columns: every aspect, the outcome, hostile text as text."""

import io
import unicodedata

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from deployopt.core.comparison import FailOn
from deployopt.core.result import CompareResult
from deployopt.core.verdict import Outcome
from deployopt.reports.comparison import print_compare
from deployopt.reports.terminal import print_build
from tests.fakes.comparing import comparison, result
from tests.fakes.payloads import payloads
from tests.fakes.results import build_result


def shown(record: CompareResult) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False, markup=False, emoji=False)
    print_compare(record, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("outcome", list(Outcome))
def test_everything_is_there_and_nothing_is_cut(outcome: Outcome) -> None:
    text = shown(result(outcome))
    assert [x for x in text.splitlines() if cell_len(x.rstrip()) > 80] == []
    assert "…" not in text
    for aspect in ("latency p50", "accuracy", "memory peak", "artifact size", "precision"):
        assert f" {aspect} " in text
    assert f"{outcome.value.upper()}  " in text
    assert f"exit {result(outcome).exit_code}" in text
    row = next(x for x in text.splitlines() if " latency p50 " in x)
    assert " to " in row
    assert ("regressed" in row) == (outcome is Outcome.REJECTED)


def test_a_regression_says_by_how_much() -> None:
    text = one_line(shown(result(Outcome.REJECTED)))
    assert "REJECTED regressed: latency p50 1" in text
    assert "slower, at least" in text


def test_what_passes_undecided_is_said_to() -> None:
    lenient = result(Outcome.UNDECIDED, FailOn.REGRESSION)
    assert lenient.exit_code == 0
    assert "Undecided passes here: --fail-on regression" in shown(lenient)
    assert "passes here" not in shown(result(Outcome.UNDECIDED))
    assert "passes here" not in shown(result(Outcome.ACCEPTED, FailOn.REGRESSION))


@pytest.mark.parametrize("payload", payloads()[::40])
def test_hostile_text_is_text(payload: str) -> None:
    found = comparison(notes=(payload,), name=payload)
    text = shown(msgspec.structs.replace(result(), comparison=found))
    for character in text:
        assert character == "\n" or unicodedata.category(character) not in {"Cc", "Cf"}


def test_a_build_tells_of_its_baseline() -> None:
    console = Console(file=io.StringIO(), width=80, highlight=False, markup=False, emoji=False)
    print_build(build_result(baseline=comparison(Outcome.REJECTED)), console)
    assert isinstance(console.file, io.StringIO)
    text = one_line(console.file.getvalue())
    assert "Against the baseline /home/ada/bundles/demo-old" in text
    assert "regressed: latency p50" in text
