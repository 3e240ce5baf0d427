"""Workflow commands: one line each, the right level, and nothing that a value could add."""

import re

import msgspec
import pytest

from deployopt.reports.ci_record import CiSummary
from deployopt.reports.ci_summary import build_summary
from deployopt.reports.github import Place, annotations, clipped_summary, step_outputs
from tests.fakes import results
from tests.fakes.payloads import payloads

COMMAND = re.compile(r"::(error|warning|notice) ([a-z]+=[^:,]*)(,[a-z]+=[^:,]*)*::(.*)")


def parsed(text: str) -> dict[str, str]:
    """As the runner reads the outputs' file."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, sign, mark = line.partition("<<")
        assert sign
        value = []
        for inner in lines:
            if inner == mark:
                break
            value.append(inner)
        found[name] = "\n".join(value)
    return found


@pytest.mark.parametrize(
    ("word", "level", "number"),
    [("accepted", "notice", 1), ("rejected", "error", 1), ("undecided", "warning", 1),
     ("provisional", "warning", 2)],
)  # fmt: skip
def test_one_a_case_that_stops(word: str, level: str, number: int) -> None:
    lines = annotations(build_summary(results.build_result(word)))
    assert [line.split()[0] for line in lines] == [f"::{level}"] * number
    assert all(COMMAND.fullmatch(line) for line in lines)
    assert all(word in line for line in lines)


def test_a_taken_provisional_bundle_is_one_warning() -> None:
    (line,) = annotations(build_summary(results.build_result("provisional", exit_code=0)))
    assert line.startswith("::warning title=deployopt%3A provisional::demo-sentiment on rpi4: ")


def test_errors_come_first_and_stand_where_the_budget_is_written() -> None:
    summary = build_summary(results.build_result("rejected"))
    first, *others = summary.cases
    undecided = msgspec.structs.replace(first, word="undecided")
    mixed = msgspec.structs.replace(summary, cases=(undecided, *others))
    place = {"latency_p95": Place(path="gate/a,b:c%.toml", line=6)}
    lines = annotations(mixed, place)
    assert [line.split()[0] for line in lines] == ["::error", "::warning"]
    assert ",file=gate/a%2Cb%3Ac%25.toml,line=6::" in lines[0]
    assert "file=" not in lines[1]


@pytest.mark.parametrize("payload", payloads()[::5])
def test_no_value_begins_a_command_or_an_output(payload: str) -> None:
    summary = build_summary(results.hostile(payload))
    for line in annotations(summary):
        assert COMMAND.fullmatch(line)
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u202e]", line)
        assert "::" not in COMMAND.fullmatch(line)[4]  # type: ignore[index]
    assert list(parsed(step_outputs(summary))) == ["verdict", "exit-code", "bundle"]


def test_a_per_cent_sign_is_not_decoded() -> None:
    summary = build_summary(results.build_result("rejected", model="100%0A::error::x"))
    (line,) = annotations(summary)
    assert "100%250A: :error: :x" in line


def test_outputs() -> None:
    summary = build_summary(results.build_result("accepted"))
    text = step_outputs(summary)
    assert parsed(text) == {
        "verdict": "accepted",
        "exit-code": "0",
        "bundle": "/home/ada/bundles/demo-sentiment-rpi4",
    }
    assert step_outputs(summary) != text
    with pytest.raises(ValueError, match="delimiter"):
        step_outputs(summary, "accepted")
    empty = CiSummary(name="a", target="b", word="rejected", exit_code=1, says="", cases=())
    assert parsed(step_outputs(empty))["bundle"] == ""


def test_a_long_summary_is_cut_at_a_line() -> None:
    text = "".join(f"line {n} ü\n" for n in range(20_000))
    data = clipped_summary(text, 1000)
    assert len(data) <= 1000
    assert data.decode().splitlines()[-1].startswith("(Cut here")
    assert re.fullmatch(r"line \d+ ü", data.decode().splitlines()[-4])
    assert clipped_summary(text) == text.encode()
