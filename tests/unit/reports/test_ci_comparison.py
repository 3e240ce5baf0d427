"""A comparison for a CI service: a case an aspect, regressed is rejected."""

import msgspec
import pytest

from deployopt.core.comparison import FailOn
from deployopt.core.verdict import Outcome
from deployopt.reports.ci_comparison import comparison_cases
from deployopt.reports.ci_summary import build_summary, compare_summary
from deployopt.reports.github import annotations
from tests.fakes import comparing, results


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_case_an_aspect(outcome: Outcome) -> None:
    summary = compare_summary(comparing.result(outcome))
    assert summary.word == outcome.value
    assert len(summary.cases) == 6
    (latency,) = [case for case in summary.cases if case.name.startswith("latency")]
    assert latency.word == outcome.value
    assert {figure.name for figure in latency.figures} == {"", "upper", "limit"}
    stopping = [case for case in summary.cases if summary.stopped_by(case)]
    assert stopping == ([] if outcome is Outcome.ACCEPTED else [latency])
    assert summary.seconds == 81.2


def test_a_regression_says_by_how_much() -> None:
    (line,) = annotations(compare_summary(comparing.result(Outcome.REJECTED)))
    assert line.startswith("::error title=deployopt%3A rejected%3A latency p50 against")
    assert "%25 slower, at least " in line


def test_undecided_passes_where_only_regressions_fail() -> None:
    summary = compare_summary(comparing.result(Outcome.UNDECIDED, FailOn.REGRESSION))
    assert summary.exit_code == 0
    assert not any(summary.stopped_by(case) for case in summary.cases)
    assert annotations(summary)[0].startswith("::warning ")


def test_a_crash_is_a_case_of_its_own() -> None:
    last = comparison_cases(comparing.crashed())[-1]
    assert (last.name, last.word) == ("baseline", "rejected")
    assert "not finite" in last.message


def test_a_build_that_is_worse_than_its_baseline_is_not_accepted() -> None:
    found = results.build_result(
        "accepted", baseline=comparing.comparison(Outcome.REJECTED), exit_code=1
    )
    summary = build_summary(found)
    assert (summary.word, len(summary.cases)) == ("rejected", 10)
    assert [case.name for case in summary.cases if summary.stopped_by(case)] == [
        "latency_p50_change"
    ]
    good = msgspec.structs.replace(found, baseline=comparing.comparison(), exit_code=0)
    assert build_summary(good).word == "accepted"
