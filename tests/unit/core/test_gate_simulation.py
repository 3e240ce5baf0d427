"""The gate as a program: how often its functions err, on simulated clocks, graders and backends.

The plain run simulates 200 runs a question, the long one the full 10 000: a limit of 5.6 % leaves
room for the chance of 10 000 runs around 5 %, and the short form has the same number of deviations.
"""

import math

import pytest

from benchmarks import gate_backends, gate_clocks
from benchmarks.gate_backends import CHEATS, backend_accepts
from benchmarks.gate_clocks import ROUND_NOISE, budget_accepts
from benchmarks.gate_simulation import (
    BEGIN,
    CONTRAST,
    DOCS,
    NOMINAL,
    RUNS,
    Question,
    Row,
    answered,
    questions,
    table,
    written,
)
from deployopt.core.quantiles import RoundsJudgement, judge_rounds

SHORT = 200
QUESTIONS = questions()
_FIELDS = 5


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.words)
def test_a_question_in_short(question: Question) -> None:
    row = answered(question, SHORT if question.share == 1 else 100)
    assert row.holds, row


@pytest.mark.long
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.words)
def test_a_question_at_full_size(question: Question) -> None:
    row = answered(question, RUNS)
    assert row.holds, row
    (told,) = [one for one in _told() if one.question == question.words]
    # Another numpy may draw other numbers from the same seed, and no others.
    spread = math.sqrt(max(told.hits, row.hits, 1) * (1 - told.hits / (told.runs + 1)))
    assert abs(told.hits - row.hits) <= 6 * spread, "run python -m benchmarks.gate_simulation"


def test_the_allowance_is_the_specified_one() -> None:
    assert NOMINAL.most(10_000) == pytest.approx(560, abs=0.5)
    assert not Row("", 561, 10_000, NOMINAL).holds
    assert Row("", 560, 10_000, NOMINAL).holds


def test_the_page_has_the_table_of_these_questions() -> None:
    rows = _told()
    assert [row.question for row in rows] == [q.words for q in QUESTIONS]
    assert all(row.runs == RUNS // q.share for row, q in zip(rows, QUESTIONS, strict=True))
    assert all(row.holds for row in rows), [row for row in rows if not row.holds]


def test_the_demands_are_among_the_questions() -> None:
    asked = {q.words: q.allowed.words for q in QUESTIONS}
    assert len(asked) == len(QUESTIONS)
    assert asked["5 % slower, margin 5 %: accepted"] == "≤ 5.6 %"
    assert asked["10 % slower, margin 5 %: accepted"] == "none"
    assert asked["A/A, margin 5 %: accepted"] == "≥ 95 %"
    twice = [allowed for words, allowed in asked.items() if words.startswith("loss 2 pt")]
    assert twice == ["≤ 3 in 10 000"] * 3
    assert sum(words.startswith("50 candidates") for words in asked) == 3
    assert sum(words.startswith("a backend that cheats") for words in asked) == len(CHEATS) == 6


def test_a_plain_t_bound_would_accept_too_many_language_models_at_the_budget() -> None:
    plain = [row for row in _told() if row.question.endswith("by a plain t bound")]
    assert len(plain) == 4
    assert not any(NOMINAL.least(r.runs) <= r.hits <= NOMINAL.most(r.runs) for r in plain)
    assert sum(words.startswith("NLL 2 % up") for words in (q.words for q in QUESTIONS)) == 8


def test_a_point_rule_would_accept_half_of_those_at_the_budget() -> None:
    point_rules = [q for q in QUESTIONS if "point rule" in q.words]
    assert all(q.allowed is CONTRAST for q in point_rules)
    assert all(answered(q, SHORT).hits > 0.4 * SHORT for q in point_rules)


def test_a_gate_that_asked_all_requests_together_alone_would_be_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pooled_alone(over: list[int], requests: list[int], q: float) -> RoundsJudgement:
        judged = judge_rounds(over, requests, q)
        return RoundsJudgement(
            standing=judged.pooled,
            pooled=judged.pooled,
            rounds=judged.rounds,
            rounds_inside=judged.rounds_inside,
        )

    monkeypatch.setattr(gate_clocks, "judge_rounds", pooled_alone)
    hits = budget_accepts(0.5, 60, SHORT, noise=ROUND_NOISE)
    assert not Row("", hits, SHORT, NOMINAL).holds


def test_without_looking_at_answers_cheats_would_be_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate_backends, "differing", lambda *_: 0)
    accepted = {name: backend_accepts(backend, 2) for name, backend in CHEATS.items()}
    assert accepted["zeros"] == accepted["truncating"] == 2
    assert accepted["memoising"] == 0  # its second answers are too fast


def test_the_table_is_put_between_its_marks() -> None:
    page = f"before\n{BEGIN}\nold\n<!-- end -->\nafter\n"
    rows = [Row("is it?", 3, 10, CONTRAST)]
    made = written(table(rows), page)
    assert made.startswith(f"before\n{BEGIN}\n\n| question |")
    assert "| is it? | 10 | 3 | 30.00 % | (contrast) |" in made
    assert made.endswith("<!-- end -->\nafter\n")
    assert "old" not in made
    with pytest.raises(ValueError, match="no place"):
        written("", "no marks")


def _told() -> list[Row]:
    """What docs/gate.md says."""
    allowed = {q.words: q.allowed for q in QUESTIONS}
    text = DOCS.read_text("utf-8").partition(BEGIN)[2]
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    rows = [line for line in cells if len(line) == _FIELDS][1:]
    return [
        Row(words, int(yes), int(runs), allowed.get(words, CONTRAST))
        for words, runs, yes, _, _ in rows
    ]
