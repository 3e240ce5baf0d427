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
    assert parse_budget("nll_increase", "0 %").limit == 0.0


@pytest.mark.parametrize(
    ("option", "limit", "shown"),
    [
        ("nll_increase=2%", 0.02, "2.00 %"),
        ("nll_increase=0.5 %", 0.005, "0.500 %"),
        ("agreement=97.5%", 0.975, "97.5 %"),
        ("decode_tps_min=8", 8.0, "8.00 tok/s"),
        ("decode_tps_min=52.9 tok/s", 52.9, "52.9 tok/s"),
        ("decode_tps_min=8/s", 8.0, "8.00 tok/s"),
        ("ttft_p95=250ms", 0.25, "250 ms"),
    ],
)
def test_reads_a_language_models_limits(option: str, limit: float, shown: str) -> None:
    budget = parse_budget_option(option)
    assert budget.limit == pytest.approx(limit)
    assert budget.shown == shown


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("latency", "60 ms", "Did you mean 'latency_p"),
        ("latency_p95", "60 MiB", "a time is given in"),
        ("latency_p95", "0 ms", "nothing can meet"),
        ("artifact_size", "60", "no unit"),
        ("nll_increase", "2 pt", "a percentage is given in %"),
        ("nll_increase", "0.02", "no unit"),
        ("agreement", "0 %", "everything meets"),
        ("agreement", "101 %", "more than 100 %"),
        ("decode_tps_min", "0", "everything meets"),
        ("decode_tps_min", "8 ms", "a token rate is given in tok/s, /s"),
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
