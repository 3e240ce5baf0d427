"""One number for a person, with its bounds and where it comes from."""

import msgspec

from deployopt.core.evidence import Evidence


class Figure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One number for a person: its value, its one-sided bounds, and where it comes from.

    `value` is None where too little was measured to say; a bound is None where there is none.
    """

    value: float | None
    lower: float | None = None
    upper: float | None = None
    confidence: float | None = None
    samples: int = 0
    evidence: Evidence
