"""Costs of inference: ordered, consistent at break-even, never zero for unknown."""

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployopt.core.cost import Cost, CostOption
from deployopt.core.errors import UsageError
from deployopt.core.evidence import Estimate
from deployopt.planning.cost.inference import inference_cost
from deployopt.planning.cost.prices import Prices
from deployopt.planning.cost.reading import read_prices
from deployopt.planning.targets import load_target, target_names

PRICES = read_prices(None)
TARGETS = {name: load_target(name) for name in target_names()}
names = st.sampled_from(sorted(TARGETS))
speeds = st.floats(0.01, 1e5)
loads = st.none() | st.floats(1, 1e10)


def estimate(value: float, factor: float = 2.0) -> Estimate:
    return Estimate(value=value, lower=value / factor, upper=value * factor, basis="a test")


def cost(name: str, per_second: float, load: float | None = None, prices: Prices = PRICES) -> Cost:
    return inference_cost(
        TARGETS[name],
        latency=estimate(1 / per_second),
        throughput=estimate(per_second),
        energy=None,
        prices=prices,
        requests_per_day=load,
    )


def option(found: Cost, part: str) -> CostOption:
    return next(one for one in found.options if part in one.name)


@given(name=names, per_second=speeds, load=loads)
def test_every_cost_is_above_zero_inside_its_band(
    name: str, per_second: float, load: float | None
) -> None:
    for one in cost(name, per_second, load).options:
        money = one.per_million
        assert 0 < money.lower <= money.value * (1 + 1e-12)
        assert money.value <= money.upper * (1 + 1e-12)
        assert one.per_month is None or one.per_month > 0
        assert one.requests_per_day_max is not None
        assert one.requests_per_day_max > 0


@given(name=names, slow=speeds, factor=st.floats(1.0, 100.0), load=loads)
def test_a_faster_target_never_costs_more(
    name: str, slow: float, factor: float, load: float | None
) -> None:
    before, after = cost(name, slow, load), cost(name, slow * factor, load)
    for one, other in zip(before.options, after.options, strict=True):
        assert other.per_million.value <= one.per_million.value * (1 + 1e-9)


@settings(max_examples=200)
@given(name=names, per_second=speeds)
def test_at_break_even_both_cost_the_same(name: str, per_second: float) -> None:
    even = cost(name, per_second).break_even_per_day
    if even is None:
        full = cost(name, per_second, per_second * 86_400)
        own, busy = option(full, "own "), option(full, "by the second")
        assert own.per_million.value >= busy.per_million.value * (1 - 1e-6)
        return
    own, busy = (option(cost(name, per_second, even), part) for part in ("own ", "by the second"))
    assert own.per_million.value == pytest.approx(busy.per_million.value, rel=1e-6)
    less = cost(name, per_second, even / 2)
    assert option(less, "own ").per_million.value > option(less, "by the second").per_million.value


def test_own_hardware_that_is_dearer_even_when_busy_has_no_break_even() -> None:
    row = PRICES.row("l4")
    assert row.on_demand is not None
    cheap = msgspec.structs.replace(row.on_demand, amount=0.0001)
    targets = PRICES.targets | {"l4": msgspec.structs.replace(row, on_demand=cheap)}
    found = cost("l4", 100.0, prices=msgspec.structs.replace(PRICES, targets=targets))
    assert found.break_even_per_day is None
    assert any("never costs less" in note for note in found.notes)


def test_without_a_cloud_rate_or_own_price_the_option_is_missing_and_not_zero() -> None:
    targets = PRICES.targets | {"l4": msgspec.structs.replace(PRICES.row("l4"), own=None)}
    found = cost("l4", 100.0, prices=msgspec.structs.replace(PRICES, targets=targets))
    assert not any(one.name.startswith("own") for one in found.options)
    assert found.break_even_per_day is None
    assert any("No price to own l4" in note for note in found.notes)


def test_latency_stands_in_for_throughput_one_at_a_time() -> None:
    found = inference_cost(
        TARGETS["l4"], latency=estimate(0.01), throughput=None, energy=None, prices=PRICES
    )
    best = option(found, "own ").requests_per_day_max
    assert best == pytest.approx(8_640_000)
    assert "one request at a time" in option(found, "own ").per_million.basis


def test_the_basis_says_utilisation_and_the_prices_day() -> None:
    assert "utilisation 30%" in option(cost("l4", 10.0), "own ").per_million.basis
    assert "prices of 2024" in option(cost("l4", 10.0), "own ").per_million.basis
    assert "5,000 requests a day" in option(cost("l4", 10.0, 5000), "own ").per_million.basis


def test_each_way_says_the_day_of_its_price() -> None:
    for name, one in itertools.product(("rpi4", "l4"), ("own ", "demand", "by the second", "spot")):
        assert "20" in option(cost(name, 10.0), one).note


def test_a_load_above_one_machine_takes_several() -> None:
    one = option(cost("l4", 1.0, 50_000), "demand")
    three = option(cost("l4", 1.0, 200_000), "demand")
    assert one.per_month is not None
    assert three.per_month == pytest.approx(3 * one.per_month)
    assert three.note.startswith("3 machines; ")


@pytest.mark.parametrize("load", [0.0, -5.0, 1e13, float("nan"), float("inf")])
def test_what_is_no_load_is_refused(load: float) -> None:
    with pytest.raises(UsageError, match="requests a day"):
        cost("l4", 10.0, load)


def test_a_speed_of_zero_is_a_mistake_of_the_caller() -> None:
    zero = Estimate(value=0.0, lower=0.0, upper=0.0, basis="nothing")
    with pytest.raises(ValueError, match="above zero"):
        inference_cost(TARGETS["l4"], latency=zero, throughput=None, energy=None, prices=PRICES)
    with pytest.raises(ValueError, match="above zero"):
        inference_cost(
            TARGETS["l4"], latency=estimate(1.0), throughput=zero, energy=None, prices=PRICES
        )
