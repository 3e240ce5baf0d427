"""A tuned model beside its base: paired by dialogue, and what is said where nothing was gained."""

import numpy as np
import pytest

from deployopt.core.dialogues import Sample
from deployopt.core.errors import StepError
from deployopt.core.nll import nll_increase_bounds
from deployopt.core.scores import DocumentScore
from deployopt.pipeline.language.tuned import documents_in, held_dialogues


def samples(count: int, *, tokens: int = 10, of: int | None = None) -> list[Sample]:
    learnt = np.ones(tokens + 1, dtype=np.bool_)
    learnt[0] = False
    ids = np.zeros(tokens + 1, dtype=np.int32)
    return [Sample(ids=ids, learnt=learnt, of=at if of is None else of) for at in range(count)]


def test_the_bound_is_that_of_the_paired_increase() -> None:
    lot = np.random.default_rng(1)
    base = (20 + lot.random(30)).tolist()
    tuned = [0.8 * one + 0.1 * lot.random() for one in base]
    held = held_dialogues(samples(30), base, tuned)
    pairs = zip(base, tuned, strict=True)
    bounds = nll_increase_bounds(
        [DocumentScore(tokens=10, reference_nll=a, candidate_nll=b) for a, b in pairs]
    )
    assert (held.change, held.lower, held.upper) == (bounds.estimate, bounds.lower, bounds.upper)
    assert held.better
    assert held.base_nll == pytest.approx(sum(base) / 300)
    assert held.tuned_nll == pytest.approx(sum(tuned) / 300)
    assert (held.dialogues, held.tokens) == (30, 300)


def test_pieces_of_one_document_are_one_observation() -> None:
    pieces = [*samples(6), *samples(4, of=5)]
    held = held_dialogues(pieces, [2.0 + at / 10 for at in range(10)], [1.0] * 10)
    assert held.dialogues == 6
    assert held.tokens == 100


def test_what_is_no_better_is_said_to_be_so() -> None:
    lot = np.random.default_rng(2)
    base = (20 + lot.random(30)).tolist()
    held = held_dialogues(samples(30), base, [one + lot.normal(0, 0.5) for one in base])
    assert held.lower < 0 < held.upper
    assert not held.better


def test_numbers_that_are_none_are_an_error() -> None:
    with pytest.raises(StepError, match="not finite"):
        held_dialogues(samples(6), [2.0] * 6, [float("nan")] * 6)


def test_only_what_a_build_would_take_counts_as_a_document() -> None:
    texts = [" ".join(f"{word}{at}" for at in range(60)) for word in ("a", "b", "c", "d")]
    long = samples(4, tokens=30)
    assert documents_in(long, texts) == 4
    assert documents_in(samples(4, tokens=10), texts) == 0
    assert documents_in([*long, *long], texts) == 4, "pieces of one are one"
    assert documents_in(long, [texts[0], f"{texts[0]} also", "", texts[3]]) == 2
