"""What a person has to know to judge a cost: days of prices, joules, stand-ins, break-even.

In: a target, prices and the ways to pay. Out: sentences, each with its numbers and their day.
"""

from collections.abc import Sequence
from typing import Final

from deployopt.core.evidence import Estimate
from deployopt.core.target import Target
from deployopt.planning.cost.prices import Prices
from deployopt.planning.cost.tariffs import DAY_S, KWH_J, Way, draw, own_price, span

_WHOLE: Final = 10
"""From which a number of two digits has none behind the point."""


def price_notes(target: Target, prices: Prices, own: Way | None, cloud: Sequence[Way]) -> list[str]:
    """Where the prices come from, which of them nobody looked up, and what is missing."""
    kwh = prices.electricity
    first = f"Prices in {prices.currency} of {prices.as_of}: {prices.source}. "
    notes = [f"{first}Electricity {span(kwh)} a kWh ({kwh.source}, {kwh.as_of})."]
    if prices.laid_over:
        notes.append(f"{prices.laid_over}.")
    if own is None:
        notes.append(
            f"No price to own {target.name} is known in {prices.currency} (prices of "
            f"{prices.as_of}); give one in a price file, as own under [targets.{target.name}]."
        )
    unverified = _unverified(target, prices, cloud)
    if unverified:
        notes.append(
            f"Unverified among these prices: {', '.join(unverified)}; give your "
            "own in a price file."
        )
    return notes


def load_note(target: Target, prices: Prices, a_day: float, *, asked: bool) -> str:
    """At which load the costs are worked out."""
    if asked:
        return f"Costs are at the {a_day:,.0f} requests a day that were asked for."
    return (
        f"Costs are at {_two(a_day)} requests a day, {prices.own.utilisation:.0%} of what one "
        f"{target.name} can do; a load of your own can be given."
    )


def energy_notes(
    target: Target, energy: Estimate | None, per_second: float, prices: Prices
) -> list[str]:
    """Kilowatt-hours of a million requests, on the device and with what stands around it."""
    kwh = prices.electricity
    notes = []
    if energy is not None:
        used = 1e6 * energy.value / KWH_J
        notes.append(
            f"A million requests take {_two(used)} kWh on the device: "
            f"{_two(used * kwh.middle)} {prices.currency} at {span(kwh)} a kWh ({kwh.as_of})."
        )
    watts = draw(target, prices)
    power = target.hardware.power
    if power is not None and watts.high > power.load:
        used = 1e6 * watts.high / per_second / KWH_J
        notes.append(
            f"With the computer around it: {_two(used)} kWh under load, "
            f"{_two(used * kwh.middle)} {prices.currency} ({kwh.as_of})."
        )
    if power is None:
        notes.append(
            f"The profile of {target.name} gives no power: its own electricity is not counted."
        )
    return notes


def stand_in_notes(target: Target, cloud: Sequence[Way]) -> list[str]:
    """Which machine stands in for one that no cloud rents, and how fast it is taken to be."""
    if not cloud:
        return [f"No cloud machine like {target.name} has a rate by the hour in the prices."]
    first = cloud[0]
    if first.machine == target.name:
        return []
    band = f"{_two(first.speed_band.low)} to {_two(first.speed_band.high)}"
    said = f"No cloud rents {target.name}: {first.machine} stands in, taken as "
    return [f"{said}{_two(first.speed)} times as fast ({band}) by peak and bandwidth."]


def break_even_notes(
    own: Way | None, cloud: Sequence[Way], per_second: float, break_even: float | None
) -> list[str]:
    """Own hardware against both ways of paying the cloud; empty where one side is missing."""
    if own is None:
        return []
    always = next((way for way in cloud if way.middle.a_day), None)
    busy = next((way for way in cloud if way.middle.a_second), None)
    notes = []
    if always is not None:
        notes.append(
            f"One machine a day, used or not: {own.middle.a_day:.3g} for {own.name}, "
            f"{always.middle.a_day:.3g} for {always.name}."
        )
    if busy is not None and break_even is None:
        notes.append(f"{own.name} never costs less than {busy.name}, even if it is always busy.")
    elif busy is not None and break_even is not None:
        share = break_even / (per_second * DAY_S)
        notes.append(
            f"From {_two(break_even)} requests a day ({_two(100 * share)}% of what one can do) "
            f"{own.name} costs less than {busy.name}."
        )
    return notes


def _unverified(target: Target, prices: Prices, cloud: Sequence[Way]) -> list[str]:
    rented = prices.row(cloud[0].machine if cloud else target.name)
    named = (
        ("own hardware", own_price(target, prices)),
        ("cloud on demand", rented.on_demand),
        ("cloud spot", rented.spot),
    )
    return [name for name, rate in named if rate is not None and rate.unverified]


def _two(value: float) -> str:
    """Two digits, as sure as a prediction is: 97,000, 1.3, 0.47."""
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= _WHOLE else f"{rounded:.2g}"
