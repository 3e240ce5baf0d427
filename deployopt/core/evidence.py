"""Where a number comes from; kept on every number that is shown or judged."""

from enum import StrEnum

import msgspec


class Evidence(StrEnum):
    """From strongest to weakest."""

    EXACT = "exact"  # a property of the files, the same anywhere
    TARGET = "measured:target"
    PROXY = "measured:proxy"
    PREDICTED = "predicted"

    @property
    def rank(self) -> int:
        """0 is the strongest."""
        return list(Evidence).index(self)

    def at_least(self, other: "Evidence") -> bool:
        """Whether this is as strong as `other`."""
        return self.rank <= other.rank


class Estimate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A predicted number with its band, in the metric's base unit.

    `coverage` is the share of cases that the band is meant to hold; `basis` says in a few words
    what it rests on, e.g. "datasheet, no measurement of this device".
    """

    value: float
    lower: float
    upper: float
    coverage: float = 0.8
    basis: str
