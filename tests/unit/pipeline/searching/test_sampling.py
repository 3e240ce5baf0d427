"""The sampler: among equals what is like those that did well; by itself the first."""

from deployopt.core.search import Profile, TimedShape
from deployopt.pipeline.searching.sampling import next_shape
from tests.unit.pipeline.searching.test_journal import shape


def of(layers: int, ffn: float) -> TimedShape:
    return shape(Profile(layers=tuple(range(layers)), ffn=ffn), 0.1 * layers * (0.4 + 0.6 * ffn))


EQUALS = [of(6, 0.25), of(4, 1.0), of(5, 0.5)]


def test_with_nothing_to_learn_from_the_best_is_taken() -> None:
    assert next_shape(EQUALS, {}, 0) == EQUALS[0]
    assert next_shape(EQUALS, {of(3, 1.0).profile: 0.5}, 0) == EQUALS[0]


def test_a_single_shape_is_taken() -> None:
    promises = {of(layers, 1.0).profile: 0.5 for layers in (1, 2, 3)}
    assert next_shape(EQUALS[1:2], promises, 0) == EQUALS[1]


def test_what_is_like_those_that_did_well_is_taken() -> None:
    # Whole feed-forward layers did well at any depth, a quarter of them never did.
    promises = {of(layers, 1.0).profile: 0.6 for layers in (1, 2, 3, 5, 6)}
    promises |= {of(layers, 0.25).profile: 0.0 for layers in (1, 2, 3, 4, 5)}
    taken = [next_shape(EQUALS, promises, seed).profile.ffn for seed in range(20)]
    assert taken.count(1.0) > 2 * taken.count(0.25)


def test_the_same_seed_gives_the_same_shape() -> None:
    promises = {of(layers, 1.0).profile: 0.1 * layers for layers in (1, 2, 3)}
    assert next_shape(EQUALS, promises, 3) == next_shape(EQUALS, promises, 3)
