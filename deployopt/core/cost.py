"""What running or training costs, in money and joules; every price carries its day."""

import msgspec

from deployopt.core.evidence import Estimate
from deployopt.core.target import Day, Line


class CostOption(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to pay for inference: own hardware, a cloud machine by the hour, spot."""

    name: str
    """E.g. `own rtx3060`, `cloud a100 on demand`, `cloud a100 spot`."""
    per_million: Estimate
    """For a million requests, in `currency`, at the utilisation given."""
    per_month: float | None = None
    """What it costs whether used or not."""
    requests_per_day_max: float | None = None
    """At the predicted throughput and full utilisation."""
    note: str = ""


class Cost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Own hardware against the cloud for one model on one target."""

    currency: str
    as_of: Day
    source: Line
    options: tuple[CostOption, ...]
    break_even_per_day: float | None = None
    """Requests a day from which own hardware is cheaper than on-demand cloud; None: never."""
    energy_per_request_j: Estimate | None = None
    training: Estimate | None = None
    """Of one fine-tuning run, where one is advised."""
    notes: tuple[str, ...] = ()
