"""The words for figures: units kept, bounds in one unit, evidence on every number."""

import math

import msgspec
import pytest

from deployopt.core.evidence import Evidence
from deployopt.core.result import StageTime
from deployopt.core.units import Dimension
from deployopt.core.verdict import Outcome
from deployopt.reports import words
from tests.fakes import results


@pytest.mark.parametrize(
    ("lower", "upper", "dimension", "shown"),
    [
        (0.0149, 0.0156, Dimension.TIME, "14.9 to 15.6 ms"),
        (0.0009, 0.0021, Dimension.TIME, "0.90 to 2.10 ms"),
        (None, 0.0061, Dimension.SHARE, "≤ 0.61 pt"),
        (-0.0012, 0.0061, Dimension.PERCENT, "-0.12 to 0.61 %"),
        (9.871, 10.2, Dimension.TOKEN_RATE, "9.9 to 10.2 tok/s"),
        (-0.0012, 0.0061, Dimension.SHARE, "-0.12 to 0.61 pt"),
        (-0.0, 0.0061, Dimension.SHARE, "0.00 to 0.61 pt"),
        (3e-3, None, Dimension.TIME, "≥ 3.00 ms"),
        (None, None, Dimension.TIME, ""),
        (512.0, 512.0, Dimension.SIZE, ""),
        (0.01541, 0.01542, Dimension.TIME, "15.4 ms"),
        (0.97, 1.031, None, "0.97 to 1.03"),
        (0.01, math.inf, Dimension.TIME, "10.0 ms to unbounded"),
    ],
)
def test_bounds(
    lower: float | None, upper: float | None, dimension: Dimension | None, shown: str
) -> None:
    assert words.show_bounds(lower, upper, dimension) == shown


@pytest.mark.parametrize(
    ("lower", "upper", "shown"),
    [
        (0.27, 0.29, "0.27 to 0.29"),
        (0.0521, 0.0563, "0.052 to 0.056"),
        (0.181, 0.205, "0.181 to 0.205"),
        (0.2801, 0.2803, "0.28"),
        (None, 0.41, "≤ 0.41"),
        (0.051, None, "≥ 0.051"),
        (None, None, ""),
    ],
)
def test_bounds_of_a_ratio(lower: float | None, upper: float | None, shown: str) -> None:
    assert words.show_times_bounds(lower, upper) == shown


def test_a_duration() -> None:
    assert words.show_duration(0.4) == "400 ms"
    assert words.show_duration(31.0) == "31.0 s"
    assert words.show_duration(2290.0) == "38.2 min"
    assert words.show_duration(2400.0) == "40 min"
    assert words.show_duration(math.inf) == "unbounded"


def test_a_name_keeps_its_signs() -> None:
    assert words.unbroken("4 layers, ffn 50 %") == "4 layers, ffn 50\u00a0%"


def test_a_value() -> None:
    assert words.show(None, Dimension.TIME) == "—"
    assert words.show(-0.00001, Dimension.SHARE) == "0.00 pt"
    assert words.show(0.0412, Dimension.TIME) == "41.2 ms"
    assert words.show(1.5, None) == "1.50"


def test_a_limit_is_shown_as_it_was_written() -> None:
    assert words.show_limit(0.06, Dimension.TIME) == "60 ms"
    assert words.show_limit(0.01, Dimension.SHARE) == "1 pt"
    assert words.show_limit(0.02, Dimension.PERCENT) == "2 %"
    assert words.show_limit(8.0, Dimension.TOKEN_RATE) == "8 tok/s"
    assert words.show_limit(100 * 2**20, Dimension.SIZE) == "100 MiB"
    assert words.show_limit(0.0125, Dimension.TIME) == "12.5 ms"


def test_every_evidence_has_words() -> None:
    assert {words.evidence_words(e) for e in Evidence} == set(words.EVIDENCE.values())
    assert words.evidence_words(None) == "no evidence"


def test_an_undecided_check_with_its_prediction_inside_is_provisional() -> None:
    found = [words.check_word(c) for c in results.verdict("provisional").checks]
    assert found == ["accepted", "accepted", "provisional", "provisional"]
    assert words.check_word(results.verdict("undecided").checks[2]) == Outcome.UNDECIDED


def test_equal_notes_stand_once() -> None:
    notes = words.check_notes(results.verdict("provisional"))
    assert [names for names, _ in notes] == ["latency p95, memory peak"]


def test_what_a_check_rests_on() -> None:
    checks = results.verdict("provisional").checks
    assert words.check_basis(checks[1]) == "exact"
    assert words.check_basis(checks[2]) == "predicted, 80 % band"
    assert "95 % one-sided bound" in words.check_basis(checks[0])
    assert "3\u00a0021 samples" in words.check_basis(checks[0])


def test_steps_tell_what_came_from_the_store() -> None:
    assert words.steps_words(results.build_result().candidates[1].steps) == [
        "export from the store",
        "optimize 1.94 s",
        "quantize 2.10 s",
    ]


def test_parts_become_sentences() -> None:
    assert words.sentences("one", None, "two.", " three? ") == "One. Two. Three?"
    assert words.sentences("", None) == ""


def test_what_no_budget_says_is_not_called_a_missed_budget() -> None:
    for outcome, part in ((Outcome.REJECTED, "speaks against it"), (Outcome.UNDECIDED, "is open")):
        verdict = msgspec.structs.replace(
            results.verdict("accepted"), outcome=outcome, reasons=("It regressed.",)
        )
        assert part in words.verdict_words(verdict)
    assert words.verdict_words(results.verdict("rejected")) == "a budget is missed"


def test_stages_that_come_again_are_added_up_and_short_ones_left_out() -> None:
    stages = [
        StageTime(stage="Build int8", seconds=100.0),
        StageTime(stage="Reference", seconds=0.03),
        StageTime(stage="Build int8", seconds=20.0),
        StageTime(stage="Latency", seconds=2.5),
    ]
    assert words.stage_words(stages) == ["Build int8 2 min", "Latency 2.50 s"]


@pytest.mark.parametrize(
    ("metric", "limit", "shown"),
    [
        ("latency_p95", 0.06, "latency p95 ≤ 60 ms"),
        ("throughput", 120.0, "throughput ≥ 120 /s"),
        ("accuracy_drop", 0.01, "accuracy drop ≤ 1 pt"),
    ],
)
def test_a_budget_in_words(metric: str, limit: float, shown: str) -> None:
    assert words.budget_words(metric, limit) == shown
