"""Times as people type them."""

import pytest

from deployopt.core.durations import read_duration
from deployopt.core.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("40m", 2400), ("40 m", 2400), ("2h", 7200), ("5 min", 300)]
)
def test_what_people_type(text: str, seconds: float) -> None:
    assert read_duration(text, "--time-limit") == seconds


@pytest.mark.parametrize("text", ["", "40", "0s", "-3m", "soon", "3 mm", "1e999h"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="--time-limit"):
        read_duration(text, "--time-limit")
