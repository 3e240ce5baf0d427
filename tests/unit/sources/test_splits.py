"""The splits depend on contents alone, are disjoint, and keep near-duplicates together."""

import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployopt.core.errors import UsageError
from deployopt.sources.splits import Splits, alike, assign_splits

SHARES = {"calibration": 0.1, "search": 0.2, "gate": 0.7}
WORDS = [f"word{number}" for number in range(2000)]

texts = st.lists(st.text(max_size=40), max_size=60)
sentences = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)


def split_of(splits: Splits) -> dict[int, str]:
    return {row: name for name, rows in splits.indices.items() for row in rows.tolist()}


def random_texts(count: int, seed: int, words: int = 15) -> list[str]:
    rng = random.Random(seed)  # noqa: S311 - test data
    return [" ".join(rng.choices(WORDS, k=words)) for _ in range(count)]


@settings(max_examples=40, deadline=None)
@given(texts)
def test_every_row_is_in_exactly_one_split(keys: list[str]) -> None:
    splits = assign_splits(keys, shares=SHARES, salt="s")
    rows = np.concatenate(list(splits.indices.values()))
    assert sorted(rows.tolist()) == list(range(len(keys)))
    assert set(splits.indices) == set(splits.digests) == set(SHARES)


@settings(max_examples=40, deadline=None)
@given(st.one_of(texts, st.lists(sentences, max_size=40)), st.randoms(use_true_random=False))
def test_row_order_changes_nothing(keys: list[str], rng: random.Random) -> None:
    edited = keys + [f"{key}!" for key in keys] + [f"{key} indeed" for key in keys]
    shuffled = rng.sample(edited, len(edited))
    first = assign_splits(edited, shares=SHARES, salt="s")
    second = assign_splits(shuffled, shares=SHARES, salt="s")
    for name in SHARES:
        before = [edited[row] for row in first.indices[name].tolist()]
        assert [shuffled[row] for row in second.indices[name].tolist()] == before
    assert second.digests == first.digests
    assert second.groups == first.groups


@settings(max_examples=40, deadline=None)
@given(st.lists(sentences, min_size=1, max_size=20))
def test_punctuation_case_and_width_keep_a_text_in_its_split(keys: list[str]) -> None:
    changed = [
        f"  {key.upper().replace(' ', ', ')}!!\N{FULLWIDTH EXCLAMATION MARK}" for key in keys
    ]
    names = split_of(assign_splits(keys + changed, shares=SHARES, salt="s"))
    assert all(names[row] == names[row + len(keys)] for row in range(len(keys)))


def test_near_duplicates_fall_together() -> None:
    keys = random_texts(300, seed=1, words=30)
    edited = [f"{key} indeed" for key in keys]
    splits = assign_splits(keys + edited, shares=SHARES, salt="s")
    names = split_of(splits)
    assert all(names[row] == names[row + 300] for row in range(300))
    assert splits.groups == 300
    assert splits.largest_group == 2


def test_unlike_texts_stay_apart() -> None:
    splits = assign_splits(random_texts(2000, seed=2), shares=SHARES, salt="s")
    assert splits.groups == 2000


def test_an_appended_row_moves_no_other() -> None:
    keys = random_texts(500, seed=3)
    before = split_of(assign_splits(keys, shares=SHARES, salt="s"))
    after = split_of(assign_splits(keys + random_texts(50, seed=4), shares=SHARES, salt="s"))
    assert all(after[row] == name for row, name in before.items())


def test_sizes_follow_the_shares_and_the_salt_changes_the_rows() -> None:
    keys = random_texts(5000, seed=5)
    splits = assign_splits(keys, shares=SHARES, salt="s")
    for name, share in SHARES.items():
        assert len(splits.indices[name]) == pytest.approx(5000 * share, rel=0.15)
    other = assign_splits(keys, shares=SHARES, salt="t")
    assert other.digests["gate"] != splits.digests["gate"]


def test_bytes_are_split_by_identity() -> None:
    keys = [bytes([number % 50, 1, 2]) for number in range(200)]
    splits = assign_splits(keys, shares=SHARES, salt="s")
    names = split_of(splits)
    assert splits.groups == 50
    assert all(names[row] == names[row % 50] for row in range(200))


def test_a_changed_character_changes_the_digest_of_its_split() -> None:
    keys = random_texts(50, seed=6)
    before = assign_splits(keys, shares={"gate": 1.0}, salt="s").digests["gate"]
    assert (
        assign_splits([*keys[:-1], keys[-1] + "."], shares={"gate": 1.0}, salt="s").digests["gate"]
        != before
    )


def test_alike_labels_near_duplicates_and_equal_bytes_the_same() -> None:
    keys = random_texts(20, seed=8, words=30)
    labels = alike([*keys, keys[3].upper(), f"{keys[7]} indeed"])
    assert len(set(labels.tolist())) == 20
    assert (labels[20], labels[21]) == (labels[3], labels[7])
    first, second, third = alike([b"a", b"b", b"a"]).tolist()
    assert first == third != second


def test_any_string_is_a_key() -> None:
    splits = assign_splits(["\ud800", "", "!?", "\0"], shares={"gate": 1.0}, salt="s")
    assert splits.groups == 4


def test_no_rows_make_empty_splits() -> None:
    splits = assign_splits([], shares=SHARES, salt="s")
    assert [len(rows) for rows in splits.indices.values()] == [0, 0, 0]
    assert splits.groups == 0


@pytest.mark.parametrize("shares", [{}, {"gate": 0.5}, {"gate": 1.5, "search": -0.5}])
def test_wrong_shares_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="together they must be 1"):
        assign_splits(["a"], shares=shares, salt="s")


@pytest.mark.slow
def test_a_hundred_thousand_texts_take_seconds() -> None:
    keys = random_texts(100_000, seed=7)
    start = time.process_time_ns()
    assign_splits(keys, shares=SHARES, salt="s")
    assert time.process_time_ns() - start < 60e9
