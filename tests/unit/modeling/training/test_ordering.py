"""The order of an epoch: every example once, the same again, like lengths together."""

import numpy as np

from deployopt.modeling.training.ordering import epoch_order

LENGTHS = np.random.default_rng(0).integers(5, 60, 1_000).tolist()


def test_every_example_stands_once() -> None:
    assert sorted(epoch_order(LENGTHS, 16, seed=0, epoch=0)) == list(range(1_000))
    assert sorted(epoch_order([1] * 33, 16, seed=0, epoch=0)) == list(range(33))
    assert epoch_order([], 16, seed=0, epoch=0) == []


def test_seed_and_epoch_decide_alone() -> None:
    first = epoch_order(LENGTHS, 16, seed=3, epoch=2)
    assert first == epoch_order(LENGTHS, 16, seed=3, epoch=2)
    assert first != epoch_order(LENGTHS, 16, seed=3, epoch=1)
    assert first != epoch_order(LENGTHS, 16, seed=4, epoch=2)


def test_little_is_padded_and_only_the_last_batch_is_short() -> None:
    order = epoch_order(LENGTHS, 16, seed=0, epoch=0)
    batches = [order[at : at + 16] for at in range(0, 1_000, 16)]
    padded = sum(len(rows) * max(LENGTHS[row] for row in rows) for rows in batches)
    assert padded < 1.1 * sum(LENGTHS)
    assert {len(rows) for rows in batches[:-1]} == {16}
