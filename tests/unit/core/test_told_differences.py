"""Precision and operators are told; what they bring is judged elsewhere."""

from deployopt.core.comparison import Change
from deployopt.core.regression import outcome_of
from deployopt.core.told_differences import operator_difference, precision_difference
from deployopt.core.verdict import Outcome


def test_facts_are_told_and_judge_nothing() -> None:
    changed = precision_difference("fp32", "int8")
    assert (changed.outcome, changed.new_words) == (Change.CHANGED, "int8")
    assert precision_difference("int8", "int8").outcome is Change.SAME
    operators = operator_difference({"Add": 4, "Old": 1}, {"Add": 4, "Mul": 30})
    assert operators.reason == "Mul 0 → 30, Old 1 → 0"
    assert (operators.old, operators.new) == (5.0, 34.0)
    many = operator_difference({}, {f"Op{k}": k + 1 for k in range(9)})
    assert many.reason.startswith("Op8 0 → 9")
    assert many.reason.endswith("and 3 more types")
    assert outcome_of([changed, operators]) is Outcome.ACCEPTED
