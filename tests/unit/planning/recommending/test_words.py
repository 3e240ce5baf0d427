"""Numbers in sentences."""

from collections.abc import Callable

import pytest

from deployopt.core.evidence import Estimate
from deployopt.core.units import Dimension
from deployopt.planning.recommending.words import (
    band as in_words,
)
from deployopt.planning.recommending.words import (
    count,
    duration,
    tier,
    times,
    tokens_a_second,
    two_digits,
    with_band,
)

Around = Callable[..., Estimate]


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (0.01, "18 to 72 seconds"),
        (1.0, "30 to 120 minutes"),
        (30.0, "15 to 60 hours"),
        (240.0, "5 to 20 days"),
    ],
)
def test_a_duration_is_in_its_own_unit(hours: float, said: str, band: Around) -> None:
    assert duration(band(hours)) == said


def test_a_band_has_two_digits(band: Around) -> None:
    assert with_band(band(0.048), Dimension.TIME) == "48 ms (24 ms to 96 ms)"


def test_equal_ends_are_said_once() -> None:
    one = Estimate(value=1.0, lower=1.0, upper=1.0, basis="exact")
    assert in_words(one, Dimension.TIME) == "1.0 s"


def test_counts_and_ratios() -> None:
    assert count(2_000_000) == "2 000 000"
    assert times(2.14) == "2.1 x"
    assert two_digits(1_234_567) == "1,200,000"
    assert tokens_a_second(51.7) == "52 tokens/s"


def test_the_tier_stands_without_what_was_counted(band: Around) -> None:
    assert tier(band(1.0)) == "datasheet only"
    whole = Estimate(value=1, lower=1, upper=1, basis="256 tokens written; calibrated; a model")
    assert tier(whole) == "calibrated"
