"""Ways to pay, for every shipped target."""

import math

import msgspec
import pytest

from deployopt.core.target import Price
from deployopt.planning.cost.reading import read_prices
from deployopt.planning.cost.tariffs import (
    DAY_S,
    Tariff,
    around_of,
    cloud_ways,
    draw,
    function_way,
    machines_for,
    own_price,
    own_way,
)
from deployopt.planning.targets import load_target, target_names

PRICES = read_prices(None)


def test_a_tariff_adds_days_seconds_and_requests() -> None:
    tariff = Tariff(a_day=2.0, a_second=0.5, a_request=0.25)
    assert tariff.of(1000, per_second=10.0) == pytest.approx(1e6 * (2 / 1000 + 0.05 + 0.25))


def test_more_load_than_one_machine_can_do_needs_more() -> None:
    assert machines_for(1, 10.0) == 1
    assert machines_for(10 * DAY_S, 10.0) == 1
    assert machines_for(10 * DAY_S + 1, 10.0) == 2
    tariff = Tariff(a_day=3.0)
    assert tariff.of(20 * DAY_S, 10.0) == pytest.approx(1e6 * 6 / (20 * DAY_S))


def test_own_hardware_is_price_over_life_maintenance_and_electricity() -> None:
    way = own_way(load_target("rpi4"), PRICES)
    assert way is not None
    bought = 55 + 25
    idle = 2.7 * 24 / 1000 * 0.165
    assert way.middle.a_day == pytest.approx(bought * (1 / 3 + 0.05) / 365.25 + idle)
    assert way.middle.a_second == pytest.approx((6.4 - 2.7) / 3.6e6 * 0.165)
    assert way.low.a_day < way.middle.a_day < way.high.a_day


@pytest.mark.parametrize("name", target_names())
def test_every_shipped_target_can_be_owned_and_rented(name: str) -> None:
    target = load_target(name)
    own = own_way(target, PRICES)
    cloud = cloud_ways(target, PRICES)
    assert own is not None
    assert own.middle.a_day > 0
    assert len(cloud) == 3
    for way in (own, *cloud):
        for at in (way.low, way.middle, way.high):
            assert min(at.a_day, at.a_second, at.a_request) >= 0
            assert math.isfinite(at.a_day + at.a_second)
        assert way.note


def test_a_board_is_compared_with_a_machine_of_its_class() -> None:
    assert {way.machine for way in cloud_ways(load_target("rpi4"), PRICES)} == {"x86-cpu"}
    first = cloud_ways(load_target("rtx3060"), PRICES)[0]
    assert first.machine == "t4"
    assert first.speed_band.low < first.speed < first.speed_band.high
    assert cloud_ways(load_target("l4"), PRICES)[0].speed == 1.0


def test_a_target_without_a_row_takes_its_profile_or_its_class() -> None:
    board = msgspec.structs.replace(load_target("rpi4"), name="my-board")
    assert cloud_ways(board, PRICES)[0].machine == "x86-cpu"
    card = msgspec.structs.replace(load_target("rtx3060"), name="my-card")
    assert cloud_ways(card, PRICES)[0].machine == "t4"
    rented = msgspec.structs.replace(load_target("l4"), name="my-l4")
    ways = cloud_ways(rented, PRICES)
    assert [way.machine for way in ways] == ["my-l4", "my-l4"]
    assert ways[0].middle.a_day == pytest.approx(24 * 0.78)
    assert own_way(rented, PRICES) is None


def test_a_price_in_another_currency_is_not_taken() -> None:
    target = load_target("rpi4")
    euros = Price(amount=60, currency="EUR", as_of="2024", source="shop")
    hardware = msgspec.structs.replace(target.hardware, price=euros)
    assert own_price(msgspec.structs.replace(target, hardware=hardware), PRICES) is None


def test_what_stands_around_a_device() -> None:
    assert around_of(load_target("rpi4"), PRICES) == (PRICES.around_board, 1)
    assert around_of(load_target("a100x4"), PRICES) == (PRICES.around_card, 4)
    assert around_of(load_target("x86-cpu"), PRICES) == (None, 0)
    watts = draw(load_target("rtx3060"), PRICES)
    assert (watts.low, watts.high) == (55.0, 250.0)


def test_a_target_without_power_counts_no_electricity_and_says_so() -> None:
    target = load_target("rpi4")
    hardware = msgspec.structs.replace(target.hardware, power=None)
    bare = msgspec.structs.replace(target, hardware=hardware)
    way = own_way(bare, PRICES)
    assert way is not None
    assert way.middle.a_second == 0
    assert "electricity is not counted" in way.note


def test_functions_are_for_processors() -> None:
    assert function_way(load_target("l4"), PRICES) is None
    way = function_way(load_target("x86-cpu"), PRICES)
    assert way is not None
    assert way.middle.of(1, 100.0) == pytest.approx(0.20 + 1e4 * 3.538 * 0.0000166667)
