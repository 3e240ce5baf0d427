"""The sampler: spread out at first, then where it promises most; no shape twice."""

import pytest

from deployopt.core.search import Profile, TimedShape
from deployopt.pipeline.searching.sampling import next_shape
from tests.unit.pipeline.searching.test_journal import shape

SHAPES = [
    shape(Profile(layers=tuple(range(layers)), ffn=ffn), 0.1 * layers * (0.4 + 0.6 * ffn))
    for layers in (5, 4, 3, 2)
    for ffn in (1.0, 0.5, 0.25)
]


def tried(count: int, seed: int = 0) -> list[TimedShape]:
    promises: dict[Profile, float] = {}
    found = []
    for _ in range(count):
        one = next_shape(SHAPES, promises, seed)
        if one is None:
            break
        # Accuracy allows three layers of half the neurons, and nothing smaller.
        size = len(one.profile.layers) * (0.4 + 0.6 * one.profile.ffn)
        promises[one.profile] = 1 / size if size >= 2.0 else 0.0
        found.append(one)
    return found


def test_every_shape_comes_once_and_then_none() -> None:
    found = tried(99)
    assert len(found) == len(SHAPES)
    assert {s.profile for s in found} == {s.profile for s in SHAPES}


def test_the_first_are_spread_from_slow_to_fast() -> None:
    order = sorted(SHAPES, key=lambda s: s.ratio)
    places = [order.index(s) for s in tried(4)]
    assert len(set(places)) == 4
    assert places[0] > len(order) // 2  # a slow one, that is likely to keep its accuracy
    assert max(places) - min(places) >= len(order) // 2


def test_the_same_seed_gives_the_same_order() -> None:
    assert tried(8, seed=3) == tried(8, seed=3)


def test_a_single_shape_is_taken() -> None:
    assert next_shape(SHAPES[:1], {}, 0) == SHAPES[0]


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_is_left(count: int) -> None:
    promises = {s.profile: 1.0 for s in SHAPES[:count]}
    assert next_shape(SHAPES[:count], promises, 0) is None
