"""What callers may give to `compare`."""

import pytest

from deployopt.api.comparing import fail_on_named, read_margin
from deployopt.core.comparison import FailOn
from deployopt.core.errors import UsageError


@pytest.mark.parametrize(
    ("given", "share"), [("5 %", 0.05), ("5%", 0.05), ("1 pt", 0.01), (0.05, 0.05), (0, 0.0)]
)
def test_a_margin_is_a_share(given: str | float, share: float) -> None:
    assert read_margin(given, "margin") == pytest.approx(share)


@pytest.mark.parametrize("given", ["5", "-5 %", "5 ms", "", "200 %", 1.5, -0.1, float("nan")])
def test_what_is_no_margin_is_refused(given: str | float) -> None:
    with pytest.raises(UsageError, match="margin"):
        read_margin(given, "--margin")


def test_what_fails_a_script() -> None:
    assert fail_on_named("regression") is FailOn.REGRESSION
    with pytest.raises(UsageError, match="undecided, regression"):
        fail_on_named("never")
