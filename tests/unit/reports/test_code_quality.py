"""Code quality: a finding a budget that is not met, the same fingerprint for the same budget."""

import json

from deployopt.reports.ci_summary import build_summary
from deployopt.reports.code_quality import code_quality
from deployopt.reports.github import Place
from tests.fakes import results


def test_nothing_where_all_is_accepted() -> None:
    assert json.loads(code_quality(build_summary(results.build_result("accepted")))) == []


def test_a_finding_a_miss() -> None:
    places = {"latency_p95": Place(path="gate/deployopt.toml", line=6)}
    (found,) = json.loads(code_quality(build_summary(results.build_result("rejected")), places))
    assert found["check_name"] == "deployopt.latency_p95"
    assert found["severity"] == "critical"
    assert found["location"] == {"path": "gate/deployopt.toml", "lines": {"begin": 6}}
    assert "latency p95 ≤ 60 ms is rejected" in found["description"]
    (later,) = json.loads(code_quality(build_summary(results.build_result("undecided"))))
    assert later["severity"] == "major"
    assert later["fingerprint"] == found["fingerprint"]
    assert later["location"]["path"] == "deployopt.toml"


def test_budgets_are_told_apart() -> None:
    found = json.loads(code_quality(build_summary(results.build_result("provisional"))))
    assert len({one["fingerprint"] for one in found}) == len(found) == 2
    assert {one["severity"] for one in found} == {"minor"}
