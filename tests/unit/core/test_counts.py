"""Counts are read as people write them, and only such."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.counts import parse_count, show_short
from deployopt.core.errors import UsageError


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("7B", 7_000_000_000),
        ("7b", 7_000_000_000),
        ("350M", 350_000_000),
        ("22.7 M", 22_700_000),
        ("1_500", 1_500),
        ("22,713,218", 22_713_218),
        ("0.5K", 500),
        ("2T", 2 * 10**12),
        ("1", 1),
    ],
)
def test_what_people_write(text: str, count: int) -> None:
    assert parse_count(text, "--params") == count


@pytest.mark.parametrize(
    "text", ["", "0", "-7B", "7 GB", "7e9", "0.1", "nan", "\u0667B", "1" * 30, "999T", "7B7", "inf"]
)
def test_what_is_no_count(text: str) -> None:
    with pytest.raises(UsageError, match=r"--params .* is not a count above zero"):
        parse_count(text, "--params")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (6_738_415_616, "6.74 B"),
        (66_955_010, "67.0 M"),
        (872, "872"),
        (405e9, "405 B"),
        (1e12, "1.00 T"),
    ],
)
def test_short_words(number: float, text: str) -> None:
    assert show_short(number) == text


@given(st.integers(min_value=1, max_value=10**13))
def test_a_short_word_is_near_what_it_shortens(number: int) -> None:
    assert parse_count(show_short(number), "x") == pytest.approx(number, rel=0.006)
