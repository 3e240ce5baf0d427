"""Conclusions: the front, why the winner won, what would have to give."""

import msgspec
import pytest

from deployopt.core.paired import loss_bounds
from deployopt.core.result import BuildResult, CandidateResult
from deployopt.core.search import Effort, SearchResult
from deployopt.core.verdict import Outcome
from deployopt.pipeline.searching.concluding import concluded, front_of
from tests.fakes.results import build_result
from tests.fakes.searching import prepared_build

FOUND = SearchResult(effort=Effort.DEFAULT, spent_s=1.0, log="log.jsonl")


def placed(name: str, median_s: float, lost: int, *, chosen: bool = False) -> CandidateResult:
    one = next(c for c in build_result().candidates if c.latency and c.accuracy)
    assert one.latency is not None
    assert one.accuracy is not None
    median = msgspec.structs.replace(one.latency.median, value=median_s)
    bounds = loss_bounds(lost, 0, 1000)
    loss = msgspec.structs.replace(
        one.accuracy.loss, value=bounds.estimate, lower=bounds.lower, upper=bounds.upper
    )
    return msgspec.structs.replace(
        one,
        recipe=name,
        latency=msgspec.structs.replace(one.latency, median=median),
        accuracy=msgspec.structs.replace(one.accuracy, loss=loss),
        failure=None,
        chosen=chosen,
    )


def result(*candidates: CandidateResult, outcome: Outcome) -> BuildResult:
    base = build_result()
    assert base.verdict is not None
    checks = tuple(
        msgspec.structs.replace(check, outcome=outcome)
        if check.metric.startswith("latency")
        else check
        for check in base.verdict.checks
    )
    verdict = msgspec.structs.replace(base.verdict, outcome=outcome, checks=checks)
    return msgspec.structs.replace(base, candidates=candidates, verdict=verdict)


def test_the_front_is_what_nothing_beats_in_both() -> None:
    found = front_of(
        [
            placed("slow", 4, 0),
            placed("middle", 2, 10),
            placed("worse", 3, 10),
            placed("fast", 1, 30),
        ]
    )
    assert [one.recipe for one in found] == ["fast", "middle", "slow"]


def test_what_failed_or_was_not_timed_is_not_on_it() -> None:
    failed = msgspec.structs.replace(placed("failed", 0.1, 0), failure="it crashed")
    untimed = msgspec.structs.replace(placed("untimed", 0.1, 0), latency=None)
    assert [one.recipe for one in front_of([failed, untimed, placed("ok", 1, 0)])] == ["ok"]


def test_the_winner_is_told_beside_the_faster_ones() -> None:
    found = concluded(
        FOUND,
        result(
            placed("float", 4, 0),
            placed("small", 2, 5, chosen=True),
            placed("smaller", 1, 40),
            outcome=Outcome.ACCEPTED,
        ),
        prepared_build(),
    )
    assert found is not None
    assert found.why.startswith("small is the fastest that was certified")
    assert "smaller" in found.why
    assert "float" not in found.why
    assert found.nearest_miss is None


def test_a_miss_says_by_how_much_and_what_to_relax() -> None:
    found = concluded(
        FOUND, result(placed("int8", 1, 0, chosen=True), outcome=Outcome.REJECTED), prepared_build()
    )
    assert found is not None
    assert found.nearest_miss is not None
    assert found.nearest_miss.startswith("int8: latency")
    assert found.relax
    assert all(line.startswith("--budget latency") for line in found.relax)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_where_nothing_was_searched_nothing_is_concluded(outcome: Outcome) -> None:
    assert concluded(None, result(outcome=outcome), prepared_build()) is None
