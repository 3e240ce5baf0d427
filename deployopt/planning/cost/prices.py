"""Prices as a dated file gives them: hardware, electricity, cloud machines, functions.

Every price carries its day and its source, also after one file was laid over another. A range of
prices (`[0.44, 0.78]`) is what different sellers ask for the same thing.
"""

from typing import Annotated, Final

import msgspec

from deployopt.core.target import Day, Line, Name
from deployopt.core.units import Power, Size

Currency = Annotated[
    str, msgspec.Meta(pattern="^[A-Z]{3}$", description='a currency code such as "USD"')
]
AMOUNT_MAX: Final = 1e8
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Rate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One price, or the range that sellers ask, in the file's currency."""

    # Checked below and not by Meta: msgspec 0.22 reads bounds inside a union with a tuple wrongly.
    amount: float | tuple[float, float]
    as_of: Day
    source: Line
    unverified: bool = False
    """General knowledge that nobody looked up for this file."""

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= AMOUNT_MAX:
            raise ValueError(
                f"{self.low:g} to {self.high:g} is not a price: give a number from 0 to "
                f"{AMOUNT_MAX:g}, or two in order"
            )

    @property
    def low(self) -> float:
        """What the cheapest seller asks."""
        return self.amount[0] if isinstance(self.amount, tuple) else self.amount

    @property
    def high(self) -> float:
        """What the dearest seller asks."""
        return self.amount[1] if isinstance(self.amount, tuple) else self.amount

    @property
    def middle(self) -> float:
        """Half way between."""
        return (self.low + self.high) / 2


class TargetPrices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a target costs to own, and what a cloud asks for a machine with it by the hour."""

    own: Rate | None = None
    """Of the device; without it the profile's own price stands."""
    on_demand: Rate | None = None
    spot: Rate | None = None
    like: Name | None = None
    """The target whose cloud machine stands in, where no cloud has this one."""


class Ownership(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How own hardware is written off and used."""

    life_years: Annotated[float, msgspec.Meta(gt=0, le=30)]
    maintenance_share: Fraction
    """Of the price, a year."""
    utilisation: Annotated[float, msgspec.Meta(gt=0, le=1)]
    """Share of the day that it works, where no load is given."""
    idle_share: Fraction
    """Idle draw as a share of the draw under load, where the profile gives none."""


class Around(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What has to stand around a device before it runs."""

    price: Rate
    idle: Power
    load: Power


class Comparable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Targets whose cloud machines stand in for targets that have no row of their own."""

    cpu: Name
    gpu: Name


class Functions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service that runs code a request and asks nothing in between."""

    per_million: Rate
    """For a million requests."""
    per_gb_second: Rate
    """For a gigabyte of memory held for a second."""
    memory: Size
    """Held while a request runs; it buys the processor too."""
    like: Name
    """The target that a function with this memory is as fast as."""


class Prices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole file; `as_of` and `source` stand for every price that gives none of its own."""

    currency: Currency
    as_of: Day
    source: Line
    electricity: Rate
    """A kWh."""
    own: Ownership
    around_card: Around
    """A computer around a GPU card."""
    around_board: Around
    """Supply, storage and case of a board."""
    comparable: Comparable
    functions: Functions | None = None
    targets: dict[Name, TargetPrices] = {}
    laid_over: str = ""
    """Which keys of which file replaced those of the shipped one, in words."""

    def row(self, name: str) -> TargetPrices:
        """The target's prices; an empty row where the file has none."""
        return self.targets.get(name, TargetPrices())
