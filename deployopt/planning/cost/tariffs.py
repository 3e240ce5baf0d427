"""Ways to pay for a machine, each as three numbers: a day, a second of work, a request.

In: a target and prices. Out: tariffs of own hardware, of a cloud machine and of functions, at the
low, the middle and the high end of the prices, with the speed of that machine beside the target's.
"""

import math
from typing import Final

import msgspec

from deployopt.core.target import Hardware, Target
from deployopt.core.units import Power
from deployopt.planning.cost.bands import Ends
from deployopt.planning.cost.prices import Around, Functions, Prices, Rate
from deployopt.planning.targets import load_target

DAYS_A_YEAR: Final = 365.25
DAY_S: Final = 86_400.0
KWH_J: Final = 3.6e6
_GB: Final = 1e9
_BUSY: Final = "by the second"
# A stand-in's speed is the mean of two ratios; which of them counts depends on the model.
_STAND_IN_BAND: Final = 2.0


class Tariff(msgspec.Struct, frozen=True, kw_only=True):
    """What one machine asks, in the file's currency; a stopped machine asks for the day only."""

    a_day: float = 0.0
    a_second: float = 0.0
    """Of work."""
    a_request: float = 0.0

    def of(self, requests_a_day: float, per_second: float) -> float:
        """Money for a million requests at this load; as many machines as it takes."""
        machines = machines_for(requests_a_day, per_second)
        fixed = self.a_day * machines / requests_a_day
        return 1e6 * (fixed + self.a_second / per_second + self.a_request)


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """A way to pay; `speed` is its machine's beside the target's, with a band where it is not 1."""

    name: str
    machine: str
    """The target whose machine works."""
    low: Tariff
    middle: Tariff
    high: Tariff
    speed: float = 1.0
    speed_band: Ends = Ends(low=1.0, high=1.0)
    note: str = ""


def machines_for(requests_a_day: float, per_second: float) -> int:
    """Machines that this load keeps busy; at least one."""
    return max(1, math.ceil(requests_a_day / (per_second * DAY_S) - 1e-9))


def own_way(target: Target, prices: Prices) -> Way | None:
    """The target bought; None where nobody knows its price in this currency.

    A day: the price over the life, maintenance, and electricity at idle. A second of work: the
    electricity that work draws on top.
    """
    price = own_price(target, prices)
    if price is None:
        return None
    around, count = around_of(target, prices)
    watts = draw(target, prices)
    kwh = prices.electricity
    share = (1 / prices.own.life_years + prices.own.maintenance_share) / DAYS_A_YEAR

    def tariff(end: str) -> Tariff:
        bought = _end(price, end) + (count * _end(around.price, end) if around else 0.0)
        joule = _end(kwh, end) / KWH_J
        return Tariff(
            a_day=bought * share + watts.low * DAY_S * joule,
            a_second=(watts.high - watts.low) * joule,
        )

    return Way(
        name=f"own {target.name}",
        machine=target.name,
        low=tariff("low"),
        middle=tariff("middle"),
        high=tariff("high"),
        note=_own_note(price, around, watts, prices),
    )


def cloud_ways(target: Target, prices: Prices) -> tuple[Way, ...]:
    """A cloud machine always on, the same for the hours of work alone, and spot, always on.

    Empty where neither the target nor its stand-in has a rate by the hour.
    """
    name, speed, band = _stand_in(target, prices)
    row = prices.row(name)
    hourly = row.on_demand
    if hourly is None and row.spot is None and name == target.name:
        hourly = _profile_price(target, prices, "hour")
    found = []
    if hourly is not None:
        found += [_by_the_hour(name, "on demand", hourly), _by_the_hour(name, _BUSY, hourly)]
    if row.spot is not None:
        found.append(_by_the_hour(name, "spot", row.spot))
    return tuple(msgspec.structs.replace(way, speed=speed, speed_band=band) for way in found)


def function_way(target: Target, prices: Prices) -> Way | None:
    """Functions paid by the request; None where there are none, or the target has a GPU."""
    functions = prices.functions
    if functions is None or target.runtime.provider != "cpu":
        return None
    speed, band = _speed_beside(target, functions.like)
    return Way(
        name="functions by the request",
        machine=functions.like,
        low=_function_tariff(functions, "low"),
        middle=_function_tariff(functions, "middle"),
        high=_function_tariff(functions, "high"),
        speed=speed,
        speed_band=band,
        note=f"{functions.memory} a request, as fast as {functions.like}; "
        f"{functions.per_gb_second.source}, {functions.per_gb_second.as_of}",
    )


def own_price(target: Target, prices: Prices) -> Rate | None:
    """The device alone: the file's row, or the profile's own price."""
    return prices.row(target.name).own or _profile_price(target, prices, "device")


def draw(target: Target, prices: Prices) -> Ends:
    """Watts at idle and under load with what stands around the device; 0 where none is known."""
    power = target.hardware.power
    around, count = around_of(target, prices)
    idle = count * around.idle if around else 0.0
    load = count * around.load if around else 0.0
    if power is not None:
        idle += power.load * prices.own.idle_share if power.idle is None else power.idle
        load += power.load
    return Ends(low=min(idle, load), high=load)


def around_of(target: Target, prices: Prices) -> tuple[Around | None, int]:
    """A computer a GPU card, a supply and case for a board; a PC is complete."""
    hardware = target.hardware
    if hardware.arch == "aarch64":
        return prices.around_board, 1
    if hardware.gpu is not None:
        return prices.around_card, hardware.gpu.count
    return None, 0


def span(rate: Rate) -> str:
    """The price as a person reads it, without its currency."""
    return f"{rate.low:g}" if rate.low == rate.high else f"{rate.low:g} to {rate.high:g}"


def _by_the_hour(machine: str, how: str, rate: Rate) -> Way:
    always = how != _BUSY

    def tariff(end: str) -> Tariff:
        amount = _end(rate, end)
        return Tariff(a_day=24 * amount) if always else Tariff(a_second=amount / 3600)

    paid = "every hour is paid" if always else "paid for work alone"
    return Way(
        name=f"cloud {machine} {how}",
        machine=machine,
        low=tariff("low"),
        middle=tariff("middle"),
        high=tariff("high"),
        note=f"{span(rate)} an hour, {paid}; {_said(rate)}",
    )


def _function_tariff(functions: Functions, end: str) -> Tariff:
    held = float(functions.memory) / _GB
    return Tariff(
        a_second=_end(functions.per_gb_second, end) * held,
        a_request=_end(functions.per_million, end) / 1e6,
    )


def _profile_price(target: Target, prices: Prices, per: str) -> Rate | None:
    price = target.hardware.price
    if price is None or price.per != per or price.currency != prices.currency:
        return None
    return Rate(amount=price.amount, as_of=price.as_of, source=price.source)


def _stand_in(target: Target, prices: Prices) -> tuple[str, float, Ends]:
    """Whose cloud machine is rented: the target's own, or one that stands in, with its speed."""
    row = prices.row(target.name)
    hourly = _profile_price(target, prices, "hour")
    if row.on_demand is not None or row.spot is not None or hourly is not None:
        return target.name, 1.0, Ends(low=1.0, high=1.0)
    default = prices.comparable.cpu if target.hardware.gpu is None else prices.comparable.gpu
    name = row.like or default
    return (name, *_speed_beside(target, name))


def _speed_beside(target: Target, name: str) -> tuple[float, Ends]:
    """How fast a shipped target is beside this one: the mean of compute's and memory's ratios."""
    if name == target.name:
        return 1.0, Ends(low=1.0, high=1.0)
    here, there = target.hardware, load_target(name).hardware
    speed = math.sqrt(_peak(there, here) / _peak(here, there) * there.bandwidth / here.bandwidth)
    return speed, Ends(low=speed / _STAND_IN_BAND, high=speed * _STAND_IN_BAND)


def _peak(hardware: Hardware, other: Hardware) -> float:
    """In fp16 between GPUs, in fp32 where one of the two computes on a CPU."""
    halves = hardware.gpu is not None and other.gpu is not None and other.peak.fp16
    return float((hardware.peak.fp16 if halves else None) or hardware.peak.fp32)


def _end(rate: Rate, end: str) -> float:
    return {"low": rate.low, "middle": rate.middle, "high": rate.high}[end]


def _own_note(price: Rate, around: Around | None, watts: Ends, prices: Prices) -> str:
    beside = f" and {span(around.price)} around it" if around else ""
    power = f"{Power(watts.low)} idle, {Power(watts.high)} under load" if watts.high else ""
    return (
        f"{span(price)} for the device{beside}, over {prices.own.life_years:g} years; "
        f"{power or 'no power draw is known: electricity is not counted'}; {_said(price)}"
    )


def _said(rate: Rate) -> str:
    return f"{rate.source}, {rate.as_of}" + (", unverified" if rate.unverified else "")
