"""Who finds whom, by hand and by the slow way."""

import numpy as np
import pytest

from deployopt.device.retrieving.ranking import Floats, Numbers, rank


def slowly(questions: Floats, candidates: Floats, groups: Numbers, without: int) -> float:
    """The share right when one pair is not there at all."""
    kept = [at for at in range(len(groups)) if at != without]
    right = 0
    for at in kept:
        likeness = [questions[at] @ candidates[to] / np.linalg.norm(candidates[to]) for to in kept]
        right += groups[kept[int(np.argmax(likeness))]] == groups[at]
    return right / len(kept)


def test_each_finds_the_nearest_direction() -> None:
    questions = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    candidates = np.array([[5.0, 0.1], [1.0, 1.1], [0.1, 3.0]])
    found = rank(questions, candidates, np.arange(3))
    assert found.first.tolist() == [0, 2, 1]
    assert found.right.tolist() == [True, False, False]


def test_the_same_words_are_as_good() -> None:
    questions = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    found = rank(questions, questions[[1, 0, 2]], np.array([4, 4, 9]))
    assert found.first.tolist() == [1, 0, 2]
    assert found.right.all()


def test_leaving_a_pair_out_is_what_it_is_without_it() -> None:
    random = np.random.default_rng(3)
    places = random.standard_normal((40, 4))
    questions = places + 0.8 * random.standard_normal(places.shape)
    candidates = places + 0.8 * random.standard_normal(places.shape)
    groups = random.integers(0, 25, 40)
    quick = rank(questions, candidates, groups).without_each()
    wanted = [slowly(questions, candidates, groups, at) for at in range(40)]
    np.testing.assert_allclose(quick, wanted)
    # So that the test could fail: not all of them are the same.
    assert len(set(np.round(wanted, 6))) > 2


def test_what_is_no_direction_finds_nothing_and_is_not_found() -> None:
    questions = np.array([[1.0, 0.0], [np.nan, 1.0], [0.0, 1.0]])
    candidates = np.array([[1.0, 0.0], [0.0, 1.0], [np.inf, 0.0]])
    found = rank(questions, candidates, np.arange(3))
    assert found.right.tolist() == [True, False, False]
    assert found.first[2] == 1


@pytest.mark.parametrize("pairs", [0, 1])
def test_one_alone_finds_nobody(pairs: int) -> None:
    with pytest.raises(ValueError, match="two pairs"):
        rank(np.ones((pairs, 2)), np.ones((pairs, 2)), np.arange(pairs))
