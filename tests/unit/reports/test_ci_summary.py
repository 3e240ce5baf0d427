"""What a CI service is told: a case a budget, what stops, what else was found."""

import msgspec
import pytest

from deployopt.core.verdict import Outcome
from deployopt.reports.ci_summary import build_summary, verdict_cases, verify_summary
from tests.fakes import results, search


@pytest.mark.parametrize(
    ("word", "stopping"), [("accepted", 0), ("rejected", 1), ("undecided", 1), ("provisional", 2)]
)
def test_one_case_a_budget(word: str, stopping: int) -> None:
    summary = build_summary(results.build_result(word))
    assert [case.name for case in summary.cases] == [b.metric for b in results.BUDGETS]
    assert sum(summary.stopped_by(case) for case in summary.cases) == stopping
    assert summary.word == word


def test_a_provisional_bundle_that_is_taken_stops_nothing() -> None:
    taken = build_summary(results.build_result("provisional", exit_code=0))
    assert [case.word for case in taken.cases].count("provisional") == 2
    assert not any(taken.stopped_by(case) for case in taken.cases)
    missed = build_summary(results.build_result("rejected", exit_code=0))
    assert any(missed.stopped_by(case) for case in missed.cases)


def test_what_no_budget_explains_is_a_case_of_its_own() -> None:
    verdict = msgspec.structs.replace(
        results.verdict("accepted"), outcome=Outcome.REJECTED, reasons=("3 are not finite.",)
    )
    assert [case.word for case in verdict_cases(verdict)] == ["accepted"] * 4 + ["rejected"]
    doubted = msgspec.structs.replace(results.verdict("undecided"), reasons=("A doubt.",))
    assert verdict_cases(doubted)[-1].message == "A doubt."
    assert len(verdict_cases(results.verdict("undecided"))) == 4


def test_what_cannot_fit_is_rejected() -> None:
    summary = build_summary(results.cannot_fit())
    assert (summary.word, summary.exit_code) == ("rejected", 1)
    (case,) = summary.cases
    assert "distilbert in int8 would fit" in case.message
    assert summary.stopped_by(case)


def test_figures_are_in_base_units() -> None:
    cases = {case.name: case for case in verify_summary(results.verify_result()).cases}
    figures = {f.name: (f.unit, f.value) for f in cases["latency_p95"].figures}
    assert figures == {
        "": ("seconds", 0.0161), "upper": ("seconds", 0.0165), "limit": ("seconds", 0.06)
    }  # fmt: skip
    assert cases["memory_peak"].figures[0].unit == "bytes"


def test_a_search_is_told() -> None:
    facts = dict(build_summary(search.build()).facts)
    assert facts["Trained"].startswith("14 trainings on 3 rungs")
    assert "is the fastest whose loss is bounded" in facts["Why"]
    missed = build_summary(search.nothing_in_budget()).facts
    assert [name for name, _ in missed].count("Relax") == 2
    assert "Nearest" in dict(missed)
    assert build_summary(results.build_result()).facts == ()
