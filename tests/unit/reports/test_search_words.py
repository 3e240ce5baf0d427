"""What the three renderings of a search say alike: outcomes, order, counts, short names."""

import math

import msgspec
import pytest

from deployopt.core.search import LayerError, SearchResult, TrainedShape
from deployopt.reports import search_words
from tests.fakes import search


def test_every_outcome_is_told_apart_and_explained() -> None:
    result = search.build()
    words = set(map(search_words.outcomes_in(result), search.trainings()))
    assert words == set(search_words.OUTCOMES)


def test_over_budget_needs_the_whole_bound() -> None:
    result = search.build()
    unsure = search.training(search.profile(2), 1, 15)
    assert unsure.loss is not None
    assert unsure.loss.estimate > 0.01 > unsure.loss.lower
    assert search_words.outcomes_in(result)(unsure) == "beaten"
    without = msgspec.structs.replace(result, budgets=())
    sure = search.training(search.profile(2), 1, 60)
    assert search_words.outcomes_in(result)(sure) == "over budget"
    assert search_words.outcomes_in(without)(sure) == "beaten"


def test_rungs_are_counted_from_one_the_best_first_and_failures_last() -> None:
    lower = [msgspec.structs.replace(t, rung=t.rung - 1) for t in search.trainings()]
    shuffled = lower[::-1]
    groups = search_words.rungs_of(shuffled)
    assert [rung for rung, _ in groups] == [1, 2, 3]
    assert [rung for rung, _ in search_words.rungs_of(search.trainings())] == [1, 2, 3]
    first = groups[0][1]
    assert first[-1].failure is not None
    losses = [t.loss.estimate for t in first if t.loss is not None]
    assert losses == sorted(losses)
    assert search_words.rungs_of(()) == []


def test_verdicts_that_are_many_are_summed_up() -> None:
    shapes = [
        msgspec.structs.replace(s, verdict=f"over by {k} ms")
        for k, s in enumerate(search.shapes(9))
    ]
    words = search_words.timed_words([*shapes, *search.shapes(40)[30:]])
    assert words.startswith("19 shapes before any training: 10 taught, 1 over by 0 ms")
    assert words.endswith("6 otherwise")
    assert search_words.timed_words(search.only_shapes().shapes) == "6 shapes before any training"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "default, 38.2 min of 40 min, goes on from an earlier call"),
        ({"time_limit_s": None, "resumed": False}, "default, 38.2 min"),
        ({"spent_s": 12.0, "resumed": False}, "default, 12.0 s of 40 min"),
    ],
)
def test_effort(change: dict[str, object], words: str) -> None:
    found = msgspec.structs.replace(search.search_result(), **change)
    assert search_words.effort_words(found) == words


def test_unlabelled_examples_are_a_part_of_all() -> None:
    def learned(number: int, bare: int) -> str:
        found = search.search_result(
            train_examples=number, unlabelled_examples=bare, train_data="x.csv", teacher=""
        )
        return search_words.learned_words(found).replace("\u00a0", " ")

    assert learned(11_773, 6_408) == "x.csv: 11 773 examples, 6 408 of them unlabelled"
    assert learned(900, 900) == "x.csv: 900 examples, unlabelled"
    assert learned(900, 0) == "x.csv: 900 examples"


def names(*given: str) -> tuple[LayerError, ...]:
    return tuple(
        LayerError(name=n, operator="MatMul", weights=1, error=0.1, changed=0.0) for n in given
    )


@pytest.mark.parametrize(
    ("given", "start", "short"),
    [
        (("/a/b/x", "/a/b/y"), "/a/b/", ["x", "y"]),
        (("/a/b", "/a/b/c"), "/a/", ["b", "b/c"]),
        (("/a", "/b"), "/", ["a", "b"]),
        (("a/x", "b/x"), "", ["a/x", "b/x"]),
        (("/only/one",), "", ["/only/one"]),
        (("node_1", "node_2"), "", ["node_1", "node_2"]),
    ],
)
def test_short_names(given: tuple[str, ...], start: str, short: list[str]) -> None:
    assert search_words.short_names(names(*given)) == (start, short)


def test_figures() -> None:
    assert search_words.show_large(2_359_296) == "2.36 M"
    assert search_words.show_large(12) == "12"
    assert search_words.show_large(None) == "—"
    assert search_words.show_error(0.0312) == "0.031"
    assert search_words.show_error(math.nan) == "—"
    assert search_words.show_share(None) == "—"
    assert search_words.show_share(0.9712) == "97.1 %"


def test_a_loss_that_is_not_known() -> None:
    found: SearchResult = search.unknown()
    bare: TrainedShape = found.trainings[0]
    assert search_words.show_loss(bare) == ("—", "")
