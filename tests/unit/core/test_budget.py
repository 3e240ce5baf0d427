"""Budgets as files and command lines give them."""

import pytest

from deployopt.core.budget import Budget, merge_budgets, parse_budget, parse_budget_option
from deployopt.core.errors import UsageError


def test_reads_a_limit_in_the_metrics_unit() -> None:
    budget = parse_budget("latency_p95", "60 ms")
    assert budget == Budget(metric="latency_p95", limit=0.06)
    assert budget.shown == "60.0 ms"
    assert parse_budget_option("memory_peak=512MiB") == Budget(metric="memory_peak", limit=2.0**29)
    assert parse_budget("accuracy_drop", "0 pt").limit == 0.0


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("latency", "60 ms", "Did you mean 'latency_p"),
        ("latency_p95", "60 MiB", "a time is given in"),
        ("latency_p95", "0 ms", "nothing can meet"),
        ("artifact_size", "60", "no unit"),
    ],
)
def test_refuses(name: str, text: str, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        parse_budget(name, text)


def test_an_option_without_a_sign() -> None:
    with pytest.raises(UsageError, match='has no "="'):
        parse_budget_option("latency_p95")


def test_merging_replaces_and_sorts() -> None:
    base = (parse_budget("memory_peak", "1 GiB"), parse_budget("latency_p95", "60 ms"))
    merged = merge_budgets(base, (parse_budget("latency_p95", "50 ms"),))
    assert [(b.metric, b.limit) for b in merged] == [
        ("latency_p95", 0.05),
        ("memory_peak", 2.0**30),
    ]
