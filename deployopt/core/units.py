"""Quantities as people write them: `"60 ms"`, `"512 MiB"`, `"1 pt"`, `"5.5 GB/s"`.

Text goes in, a float in the base unit comes out (s, bytes, share of one, W, J, per second).
A wrong or missing unit is an error that names the units that would do.
"""

import math
import re
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final, Self


class Dimension(StrEnum):
    """What a number counts; the base unit is given behind each."""

    TIME = "time"  # s
    SIZE = "size"  # bytes
    SHARE = "share"  # of one; a percentage point is 0.01
    BANDWIDTH = "bandwidth"  # bytes/s
    COMPUTE = "compute"  # operations/s
    POWER = "power"  # W
    ENERGY = "energy"  # J
    RATE = "rate"  # 1/s
    PERCENT = "percentage"  # of one, relative; 1 % is 0.01
    TOKEN_RATE = "token rate"  # noqa: S105 -- 1/s


UNITS: Final[dict[Dimension, dict[str, float]]] = {
    Dimension.TIME: {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0},
    Dimension.SIZE: {
        "B": 1.0,
        "kB": 1e3,
        "KiB": 2.0**10,
        "MB": 1e6,
        "MiB": 2.0**20,
        "GB": 1e9,
        "GiB": 2.0**30,
        "TB": 1e12,
    },
    Dimension.SHARE: {"pt": 1e-2, "%": 1e-2},
    Dimension.BANDWIDTH: {"MB/s": 1e6, "GB/s": 1e9, "TB/s": 1e12},
    Dimension.COMPUTE: {"GFLOP/s": 1e9, "TFLOP/s": 1e12, "GOP/s": 1e9, "TOP/s": 1e12},
    Dimension.POWER: {"mW": 1e-3, "W": 1.0, "kW": 1e3},
    Dimension.ENERGY: {"uJ": 1e-6, "mJ": 1e-3, "J": 1.0, "Wh": 3600.0},
    Dimension.RATE: {"/s": 1.0, "/min": 1 / 60},
    Dimension.PERCENT: {"%": 1e-2},
    Dimension.TOKEN_RATE: {"tok/s": 1.0, "/s": 1.0},
}
BARE: Final = frozenset({Dimension.TOKEN_RATE})
"""Where a number may stand alone, in the first unit: the metric's own name says what it counts."""
_NUMBER: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]{1,3})?)\s*([A-Za-z%/]*)\s*")
_LONGEST: Final = 64


def parse_quantity(text: str, dimension: Dimension) -> float:
    """The value in the dimension's base unit, the nearest float to what is written.

    Raises:
        ValueError: not a non-negative number with a unit of this dimension.
    """
    units = UNITS[dimension]
    wanted = ", ".join(units)
    match = _NUMBER.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise ValueError(
            f"{text[:_LONGEST]!r} is not a number with a unit; "
            f'write for example "60 {_example(dimension)}" (units: {wanted})'
        )
    number, unit = match.groups()
    if not unit and dimension in BARE:
        unit = next(iter(units))
    if unit not in units:
        found = f"the unit {unit!r}" if unit else "no unit"
        raise ValueError(f"{text!r} has {found}; a {dimension} is given in {wanted}")
    try:
        return float(Fraction(number) * _exactly(units[unit]))
    except OverflowError as error:
        raise ValueError(f"{text!r} is too large") from error


def quantity_pattern(dimension: Dimension) -> str:
    """A regular expression (ECMA 262 too) of what `parse_quantity` reads."""
    units = "|".join(re.escape(unit) for unit in UNITS[dimension])
    bare = "?" if dimension in BARE else ""
    return rf"^\s*[0-9]+(\.[0-9]+)?(e[+-]?[0-9]{{1,3}})?\s*({units}){bare}\s*$"


def _exactly(scale: float) -> Fraction:
    return Fraction(repr(scale))


def _example(dimension: Dimension) -> str:
    return _SHOWN[dimension][min(1, len(_SHOWN[dimension]) - 1)][0]


_ALL_DIGITS: Final = 3
_SHOWN: Final[dict[Dimension, tuple[tuple[str, float], ...]]] = {
    Dimension.TIME: (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)),
    Dimension.SIZE: (("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10), ("B", 1.0)),
    Dimension.SHARE: (("pt", 1e-2),),
    Dimension.BANDWIDTH: (("TB/s", 1e12), ("GB/s", 1e9), ("MB/s", 1e6)),
    Dimension.COMPUTE: (("TFLOP/s", 1e12), ("GFLOP/s", 1e9)),
    Dimension.POWER: (("kW", 1e3), ("W", 1.0)),
    Dimension.ENERGY: (("J", 1.0), ("mJ", 1e-3), ("uJ", 1e-6)),
    Dimension.RATE: (("/s", 1.0),),
    Dimension.PERCENT: (("%", 1e-2),),
    Dimension.TOKEN_RATE: (("tok/s", 1.0),),
}


def show_quantity(value: float, dimension: Dimension, digits: int = 3) -> str:
    """The value for a person, in the unit that keeps it readable, `digits` significant."""
    if not math.isfinite(value):
        return "unbounded" if value > 0 else "none"
    units = _SHOWN[dimension]
    name, scale = next((u for u in units if abs(value) >= u[1]), units[-1])
    scaled = value / scale
    if scaled == 0:
        return f"0 {name}"
    # Two digits are what a prediction is sure of: 290 ms rather than 293.
    scaled = float(f"{scaled:.{digits}g}") if digits < _ALL_DIGITS else scaled
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(scaled))))
    return f"{scaled:.{min(decimals, 3)}f} {name}"


class Quantity(float):
    """A float that was written with a unit; subclasses fix the dimension."""

    dimension: Dimension

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `"60 ms"`; raise ValueError on other text, TypeError on anything else."""
        if not isinstance(text, str):
            example = f'"1 {_example(cls.dimension)}"'
            raise TypeError(f"expected text with a unit such as {example}, got {text!r:.64}")
        return cls(parse_quantity(text, cls.dimension))

    def written(self) -> str:
        """Text that parses back to exactly this value; ValueError if it is not a quantity."""
        if not math.isfinite(self) or self < 0:
            raise ValueError(f"{float(self)} is not a quantity")
        scales = UNITS[self.dimension]
        base = (unit for unit, scale in scales.items() if scale == 1.0)
        unit = next(base, min(scales, key=lambda name: scales[name]))
        exact = Decimal(repr(float(self))) / Decimal(repr(scales[unit]))
        return f"{str(exact).lower()} {unit}"

    def __str__(self) -> str:
        return show_quantity(self, self.dimension)


class Duration(Quantity):
    """Seconds."""

    dimension = Dimension.TIME


class Size(Quantity):
    """Bytes."""

    dimension = Dimension.SIZE


class Share(Quantity):
    """A share of one."""

    dimension = Dimension.SHARE


class Bandwidth(Quantity):
    """Bytes per second."""

    dimension = Dimension.BANDWIDTH


class Compute(Quantity):
    """Operations per second; a multiply-add counts as two."""

    dimension = Dimension.COMPUTE


class Power(Quantity):
    """Watts."""

    dimension = Dimension.POWER
