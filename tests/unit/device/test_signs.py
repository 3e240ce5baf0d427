"""Signs of life from within a request."""

import time

import pytest

from deployopt.device.protocol import Reply, Working
from deployopt.device.signs import Signs


def test_one_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0]
    monkeypatch.setattr(time, "perf_counter_ns", lambda: now[0])
    said: list[Reply] = []
    sign = Signs(said.append)
    for _ in range(30):
        now[0] += 100_000_000
        sign()
    assert len(said) == 2
    sign.share, sign.what = 0.5, "3 of 6 requests"
    now[0] += 1_100_000_000
    sign()
    assert said[-1] == Working(share=0.5, what="3 of 6 requests")
