"""Labels as people write them, and the ones a model does not have."""

import pytest

from deployopt.core.errors import UsageError
from deployopt.sources.labels import match_labels

MODEL = ("NEGATIVE", "POSITIVE")


@pytest.mark.parametrize(
    "values",
    [
        ["NEGATIVE", "POSITIVE"],
        ["negative", " Positive "],
        [0, 1],
        ["0", "1"],
        [0.0, 1.0],
        ["0.0", "1."],
        [False, True],
    ],
)
def test_ways_to_write_the_same(values: list[object]) -> None:
    assert match_labels(values, MODEL, where="f").classes == (0, 1)


def test_numbers_go_through_the_datas_own_names() -> None:
    found = match_labels([0, 1, 1], MODEL, where="f", names=["positive", "negative"])
    assert found.classes == (1, 0, 0)
    with pytest.raises(UsageError, match="'good'"):
        match_labels([0, 1], MODEL, where="f", names=["bad", "good"])
    with pytest.raises(UsageError, match="beyond its own names"):
        match_labels([0, 1], MODEL, where="f", names=["negative"])


def test_a_model_without_names_takes_numbers_and_says_so() -> None:
    generic = ("LABEL_0", "LABEL_1")
    found = match_labels([1, 0], generic, where="f", names=["negative", "positive"])
    assert found.classes == (1, 0)
    assert "names no classes" in found.notes[0]
    with pytest.raises(UsageError, match="give class numbers"):
        match_labels(["negative", "positive"], generic, where="f")


def test_numbers_without_names_are_noted() -> None:
    assert "0 is taken as 'NEGATIVE'" in match_labels([0, 1], MODEL, where="f").notes[0]


def test_labels_that_are_numbers_are_names() -> None:
    stars = ("1", "2", "3", "4", "5")
    assert match_labels([5, "1", 3.0], stars, where="f").classes == (4, 0, 2)
    with pytest.raises(UsageError, match="'0'"):
        match_labels([0, 1], stars, where="f")


def test_unknown_labels_show_both_sets_and_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        match_labels(["NEGATIV", "POSITIVE"], MODEL, where="reviews.csv")
    said = str(caught.value)
    assert "nearest to 'NEGATIV' is 'NEGATIVE'" in said
    assert "the data's labels are 'NEGATIV', 'POSITIVE'" in said.lower().replace(
        "'negativ', 'positive'", "'NEGATIV', 'POSITIVE'"
    )
    assert "the model's are 'NEGATIVE', 'POSITIVE'" in said
    assert "\n" not in said


@pytest.mark.parametrize("values", [[0, 2], [7], ["-2", "1"]])
def test_numbers_out_of_range(values: list[object]) -> None:
    with pytest.raises(UsageError, match="2 classes, 0 to 1"):
        match_labels(values, MODEL, where="f")


def test_withheld_labels_are_explained() -> None:
    with pytest.raises(UsageError, match="withheld"):
        match_labels([-1, -1], MODEL, where="f")


def test_case_does_not_decide_between_two() -> None:
    assert match_labels(["A", "a"], ("A", "a"), where="f").classes == (0, 1)
    with pytest.raises(UsageError):
        match_labels(["ß", "Ss"], ("SS", "ss"), where="f")


def test_accents_written_in_two_ways_are_one() -> None:
    assert match_labels(["cafe\u0301", "x"], ("caf\u00e9", "x"), where="f").classes == (0, 1)


def test_a_name_that_two_classes_share_tells_neither() -> None:
    assert match_labels(["owl"], ("crane", "owl", "crane"), where="f").classes == (1,)
    with pytest.raises(UsageError, match="'crane'"):
        match_labels(["crane"], ("crane", "owl", "crane"), where="f")
