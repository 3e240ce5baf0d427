"""Scenarios: each with what belongs to it, and nothing else."""

import msgspec
import pytest

from deployopt.core.workload import Workload


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "single-stream, batch 1"),
        ({"scenario": "offline", "batch": 32}, "offline, batch 32"),
        ({"scenario": "multi-stream", "batch": 8}, "multi-stream, batch 8"),
        (
            {"scenario": "server", "requests_per_s": 12.5},
            "server, 12.5 requests a second, batch 1",
        ),
    ],
)
def test_a_scenario_in_words(fields: dict[str, object], words: str) -> None:
    assert msgspec.convert(fields, Workload).words == words


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"scenario": "server"}, "needs requests_per_s"),
        ({"requests_per_s": 5}, "takes no requests_per_s"),
        ({"scenario": "offline", "requests_per_s": 5}, "takes no requests_per_s"),
        ({"scenario": "multi-stream"}, "needs a batch"),
        ({"scenario": "server", "requests_per_s": 0}, "requests_per_s"),
        ({"scenario": "burst"}, "scenario"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        msgspec.convert(fields, Workload)
