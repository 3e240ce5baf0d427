"""Counts as people write them: `7B`, `350M`, `1_500`, `22.7M`.

Text goes in, a whole number comes out; a wrong one is an error that shows how it is written.
"""

import re
from decimal import Decimal
from typing import Final

from deployopt.core.errors import UsageError

_SCALES: Final = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_COUNT: Final = re.compile(
    r"\s*([0-9][0-9_,]{0,17}(?:\.[0-9]{1,6})?)\s*([KMBT]?)\s*", re.IGNORECASE | re.ASCII
)
_LARGEST: Final = 10**14


def parse_count(text: str, name: str) -> int:
    """The number; `name` is the option that it was given with.

    Raises:
        UsageError: not a count between 1 and 10^14.
    """
    match = _COUNT.fullmatch(text)
    if match is not None:
        number = Decimal(match[1].replace("_", "").replace(",", ""))
        count = int(number * _SCALES[match[2].upper()])
        if 1 <= count <= _LARGEST:
            return count
    raise UsageError(
        f"{name} {text[:40]!r} is not a count above zero and at most 100T. Write for example 7B, "
        "350M or 22713218."
    )


def parse_numbers(text: str, name: str) -> tuple[int, ...]:
    """Whole numbers apart by commas; `name` is the option that they were given with.

    Raises:
        UsageError: something else.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{name} {text[:40]!r}: write whole numbers, as 0,2,4.") from error


def show_short(number: float) -> str:
    """`6.74 B`, `66.4 M`, `872`: three digits and a scale."""
    for scale in ("T", "B", "M", "K"):
        if number >= _SCALES[scale]:
            scaled = number / _SCALES[scale]
            digits = 2 if scaled < 10 else 1 if scaled < 100 else 0  # noqa: PLR2004 -- three digits
            return f"{scaled:.{digits}f} {scale}"
    return f"{number:g}"
