"""Own hardware against the cloud, for a million requests and for a day's load.

In: a target, how fast it works, prices and, if known, the requests a day. Out: a `Cost`. Without a
load, the target is taken to work for the share of the day that the prices call utilisation.

Two ways to pay the cloud are shown, since they bracket what a service costs: a machine that is
always on, and one that is paid for its seconds of work alone, which is the cheapest that it can be.
Break-even is against the second: below it own hardware stands idle too much to be worth its price.
"""

import itertools
from typing import Final

import msgspec

from deployopt.core.cost import Cost, CostOption
from deployopt.core.errors import UsageError
from deployopt.core.evidence import Estimate
from deployopt.core.target import Target
from deployopt.planning.cost.bands import Ends, together
from deployopt.planning.cost.notes import (
    break_even_notes,
    energy_notes,
    load_note,
    price_notes,
    stand_in_notes,
)
from deployopt.planning.cost.prices import Prices
from deployopt.planning.cost.tariffs import (
    DAY_S,
    DAYS_A_YEAR,
    Way,
    cloud_ways,
    function_way,
    machines_for,
    own_way,
)

REQUESTS_A_DAY_MAX: Final = 1e12


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Requests a second that the target can do, and requests a day that come; None: by share."""

    per_second: Estimate
    a_day: float | None
    utilisation: float

    def at(self, per_second: float) -> float:
        """Requests a day where the target does so many a second."""
        return self.utilisation * per_second * DAY_S if self.a_day is None else self.a_day


def inference_cost(
    target: Target,
    *,
    latency: Estimate,
    throughput: Estimate | None,
    energy: Estimate | None,
    prices: Prices,
    requests_per_day: float | None = None,
) -> Cost:
    """What a million requests cost by each way to pay, and from which load own hardware pays.

    Args:
        target: The device; a target with several GPUs works as one machine.
        latency: Seconds a request, one at a time.
        throughput: Requests a second of the whole target; None: one at a time.
        energy: Joules a request on the device; None where the profile has no power draw.
        prices: As `read_prices` gives them.
        requests_per_day: The load; None: the prices' utilisation.

    Raises:
        UsageError: a load that is not above zero, or above 1e12.
        ValueError: a latency or throughput that is not above zero.
    """
    _require_load(requests_per_day)
    load = Load(
        per_second=throughput or _one_at_a_time(latency),
        a_day=requests_per_day,
        utilisation=prices.own.utilisation,
    )
    if not 0 < load.per_second.lower <= load.per_second.value <= load.per_second.upper:
        raise ValueError("the speed has to be above zero, inside its band")
    speed = load.per_second.value
    own = own_way(target, prices)
    cloud = cloud_ways(target, prices)
    function = function_way(target, prices)
    ways = [way for way in (own, *cloud, function) if way is not None]
    busy = next((way for way in cloud if way.middle.a_second), None)
    break_even = _break_even(own, busy, speed)
    return Cost(
        currency=prices.currency,
        as_of=prices.as_of,
        source=prices.source,
        options=tuple(_option(way, load, prices) for way in ways),
        break_even_per_day=break_even,
        energy_per_request_j=energy,
        notes=tuple(
            itertools.chain(
                [load_note(target, prices, load.at(speed), asked=load.a_day is not None)],
                price_notes(target, prices, own, cloud),
                energy_notes(target, energy, speed, prices),
                stand_in_notes(target, cloud),
                break_even_notes(own, cloud, speed, break_even),
            )
        ),
    )


def _require_load(requests_per_day: float | None) -> None:
    if requests_per_day is not None and not 0 < requests_per_day <= REQUESTS_A_DAY_MAX:
        raise UsageError(
            f"{requests_per_day:g} requests a day is not a load; give a number above 0 and at "
            f"most {REQUESTS_A_DAY_MAX:g}."
        )


def _one_at_a_time(latency: Estimate) -> Estimate:
    if not 0 < latency.lower <= latency.value <= latency.upper:
        raise ValueError("the latency has to be above zero, inside its band")
    return Estimate(
        value=1 / latency.value,
        lower=1 / latency.upper,
        upper=1 / latency.lower,
        coverage=latency.coverage,
        basis=f"one request at a time; {latency.basis}",
    )


def _option(way: Way, load: Load, prices: Prices) -> CostOption:
    speed = load.per_second
    a_day = load.at(speed.value)
    value = way.middle.of(a_day, speed.value * way.speed)
    lower, upper = together(value, _causes(way, load))
    machines = machines_for(a_day, speed.value * way.speed)
    many = f"{machines} machines; " if machines > 1 else ""
    if load.a_day is None:
        of_load = f"utilisation {load.utilisation:.0%} ({a_day:,.0f} requests a day)"
    else:
        of_load = f"{a_day:,.0f} requests a day"
    monthly = way.middle.a_day * machines * DAYS_A_YEAR / 12
    return CostOption(
        name=way.name,
        per_million=Estimate(
            value=value,
            lower=lower,
            upper=upper,
            coverage=speed.coverage,
            basis=f"{of_load}, prices of {prices.as_of}; {speed.basis}",
        ),
        per_month=monthly or None,
        requests_per_day_max=speed.value * way.speed * DAY_S,
        note=many + way.note,
    )


def _causes(way: Way, load: Load) -> list[Ends]:
    """What the band of the speed, of the prices and of the stand-in does to the cost."""
    at, middle = load.per_second, way.middle

    def cost(per_second: float, factor: float = way.speed) -> float:
        return middle.of(load.at(per_second), per_second * factor)

    a_day, actual = load.at(at.value), at.value * way.speed
    return [
        Ends(low=cost(at.upper), high=cost(at.lower)),
        Ends(low=way.low.of(a_day, actual), high=way.high.of(a_day, actual)),
        Ends(low=cost(at.value, way.speed_band.high), high=cost(at.value, way.speed_band.low)),
    ]


def _break_even(own: Way | None, busy: Way | None, per_second: float) -> float | None:
    """Requests a day at which the own machine's day costs what the cloud's seconds of work do.

    None where one way is missing, or where even a machine that is always busy is dearer.
    """
    if own is None or busy is None:
        return None
    saved = busy.middle.a_second / (per_second * busy.speed) - own.middle.a_second / per_second
    if saved <= 0:
        return None
    found = own.middle.a_day / saved
    return found if found <= per_second * DAY_S else None
