"""The table of metrics."""

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.metric import METRICS, Kind, find_metric


@pytest.mark.parametrize("name", METRICS)
def test_each_is_found_by_its_name(name: str) -> None:
    metric = find_metric(name)
    assert metric.name == name
    assert (metric.quantile is not None) is (metric.kind in {Kind.LATENCY, Kind.FIRST_TOKEN})


def test_an_unknown_one_names_the_nearest() -> None:
    with pytest.raises(
        UsageError, match=r"'latency_p9' is not a metric\. Did you mean 'latency_p9"
    ):
        find_metric("latency_p9")
    with pytest.raises(UsageError, match="Known: latency_p50"):
        find_metric("zzz")
