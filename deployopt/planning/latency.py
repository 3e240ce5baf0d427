"""How long one request takes, and how far that can be trusted.

In: a target, the operators of a request, a precision. Out: median seconds, the factor that four
cases of five lie within, and what both rest on: measurements of the device itself, of others of its
class with the same runtime, of its class with another runtime, or its datasheet alone.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from deployopt.core.additive import is_convolutional
from deployopt.core.artifact import Precision
from deployopt.core.plan import Operation
from deployopt.core.target import Target
from deployopt.planning.calibrated import calibrated_latency
from deployopt.planning.coefficients import (
    Coefficients,
    Tier,
    adjusted,
    combine,
    shipped,
    tier_of,
)
from deployopt.planning.rates import setting_of
from deployopt.planning.terms import Domain, Setting, terms

DATASHEET_BAND: Final = 2.5
"""A datasheet alone is right within this factor in four cases of five."""
_DEFAULT_BANDS: Final[dict[Tier, float]] = {
    "device": 1.6, "runtime": 1.7, "class": 2.2, "datasheet": DATASHEET_BAND,
}  # fmt: skip
_BASIS: Final[dict[Tier, str]] = {
    "device": "fitted to published runs of this device with this runtime",
    "runtime": "fitted to published runs of sibling devices with this runtime, none of this device",
    "class": "fitted to published runs of sibling devices with another runtime, none of this one",
    "datasheet": "datasheet only, no measurement of this kind of device",
}


class Timing(NamedTuple):
    """`band`: four cases of five lie between seconds / band and seconds x band."""

    seconds: float
    band: float
    basis: str
    note: str = ""


def time_request(
    target: Target,
    operations: Sequence[Operation],
    precision: Precision,
    domain: Domain | None = None,
    devices: int = 1,
) -> Timing | None:
    """The median request; None where the target has no arithmetic of this precision.

    `devices` GPUs share the work of a request evenly; what they tell each other is not in it.
    """
    calibrated = calibrated_latency(target, operations, precision)
    if calibrated is not None:
        return Timing(*calibrated)
    kind = domain or domain_of(operations)
    at = setting_of(target, precision, kind)
    if at is None:
        return None
    if devices > 1:
        at = msgspec.structs.replace(
            at, operations=at.operations * devices, bandwidth=at.bandwidth * devices
        )
    found = time_setting(at, operations, kind, shipped())
    return found._replace(note=at.note)


def time_setting(
    at: Setting, operations: Sequence[Operation], domain: Domain, fitted: Coefficients
) -> Timing:
    """The median request in a setting, whatever it was read from."""
    seconds = combine(adjusted(terms(operations, at), at, domain, fitted), overlaps=at.overlaps)
    tier = tier_of(at, domain, fitted)
    return Timing(seconds, band_of(at, domain, tier, fitted), _BASIS[tier])


def band_of(at: Setting, domain: Domain, tier: Tier, fitted: Coefficients) -> float:
    """The factor by tier, as the held-out errors of this kind of work were."""
    return fitted.bands.get(f"{at.platform}, {domain}", {}).get(tier, _DEFAULT_BANDS[tier])


def domain_of(operations: Sequence[Operation]) -> Domain:
    """Convolution where convolutions make most of the multiply-adds, else encoder."""
    return "convolution" if is_convolutional(operations) else "encoder"
