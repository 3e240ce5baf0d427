"""The labels that are trained: the head's where they are the data's, else the data's own."""

import pytest

from deployopt.core.errors import UsageError
from deployopt.sources.training_labels import settle_labels

FEW = ["good", "bad"] * 5


def test_a_head_with_just_these_labels_is_kept() -> None:
    found = settle_labels(FEW, ("bad", "good"), where="x.csv")
    assert not found.new_head
    assert found.labels == ("bad", "good")
    assert found.classes[:2] == (1, 0)


def test_class_numbers_are_the_heads_and_that_is_said() -> None:
    found = settle_labels([0, 1] * 5, ("bad", "good"), where="x.csv")
    assert not found.new_head
    assert "0 is taken as 'bad'" in found.notes[0]


@pytest.mark.parametrize("head", [("a", "b"), ("bad", "good", "mixed")])
def test_other_labels_get_a_new_head_and_that_is_said(head: tuple[str, ...]) -> None:
    found = settle_labels(FEW, head, where="x.csv")
    assert found.new_head
    assert found.labels == ("bad", "good")
    assert "new head" in found.notes[0]


def test_numbers_of_a_few_classes_are_not_taken_for_the_first_of_many() -> None:
    head = tuple(f"thing {n}" for n in range(1_000))
    found = settle_labels([10, 9, 2] * 4, head, where="digits.csv")
    assert found.new_head
    assert found.labels == ("2", "9", "10")


def test_names_of_the_file_give_their_order() -> None:
    found = settle_labels([1, 0] * 5, None, where="x.parquet", names=("zebra", "ant"))
    assert found.labels == ("zebra", "ant")
    assert found.classes[:2] == (1, 0)
    assert found.notes == ()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["same"] * 9, "one class only"),
        ([*FEW, "godo"], "'godo' stands on 1 of 11 rows"),
        ([], "one class only"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(values: list[object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        settle_labels(values, None, where="x.csv")
