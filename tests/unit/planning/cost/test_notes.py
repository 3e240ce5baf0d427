"""What is said beside a cost."""

import msgspec

from deployopt.core.cost import Cost
from deployopt.core.evidence import Estimate
from deployopt.planning.cost.inference import inference_cost
from deployopt.planning.cost.notes import energy_notes, load_note
from deployopt.planning.cost.reading import read_prices
from deployopt.planning.targets import load_target

PRICES = read_prices(None)


def cost(name: str, joules: float | None = None) -> Cost:
    latency = Estimate(value=0.1, lower=0.05, upper=0.2, basis="a test")
    energy = joules and Estimate(value=joules, lower=joules, upper=joules, basis="6.4 W")
    return inference_cost(
        load_target(name),
        latency=latency,
        throughput=None,
        energy=energy or None,
        prices=PRICES,
    )


def note(found: Cost, part: str) -> str:
    return next(text for text in found.notes if part in text)


def test_energy_is_told_in_kilowatt_hours_with_the_day_of_electricity() -> None:
    said = note(cost("rpi4", 0.72), "kWh on the device")
    assert "0.2 kWh" in said
    assert "0.165 a kWh (2024)" in said
    assert not any("kWh on the device" in text for text in cost("rpi4").notes)


def test_a_card_brings_a_computer_that_draws_too() -> None:
    assert "6.9 kWh" in note(cost("rtx3060", 17.0), "computer around it")
    assert not any("computer around it" in text for text in cost("rpi4", 0.7).notes)


def test_a_stand_in_is_named_with_its_speed() -> None:
    assert "x86-cpu stands in" in note(cost("rpi4"), "No cloud rents rpi4")
    assert not any("stands in" in text for text in cost("l4").notes)


def test_unverified_prices_are_named() -> None:
    assert "cloud on demand, cloud spot" in note(cost("rpi4"), "Unverified")
    assert "own hardware, cloud spot" in note(cost("l4"), "Unverified")


def test_break_even_is_told_against_both_ways_of_paying() -> None:
    found = cost("rpi4")
    assert found.break_even_per_day is not None
    assert f"{float(f'{found.break_even_per_day:.2g}'):,.0f} requests a day" in note(
        found, "costs less than"
    )
    assert "for cloud x86-cpu on demand" in note(found, "One machine a day")
    assert "by the second" in note(found, "costs less than")


def test_the_prices_have_their_day_and_source() -> None:
    assert PRICES.source in note(cost("l4"), "Prices in USD of 2024")


def test_the_load_is_told() -> None:
    assert "260,000 requests a day, 30% of what one rpi4" in cost("rpi4").notes[0]
    said = load_note(load_target("rpi4"), PRICES, 1234.0, asked=True)
    assert "1,234 requests a day that were asked for" in said


def test_a_profile_without_power_says_that_its_electricity_is_missing() -> None:
    target = load_target("rtx3060")
    silent = msgspec.structs.replace(
        target, hardware=msgspec.structs.replace(target.hardware, power=None)
    )
    said = " ".join(energy_notes(silent, None, 100.0, read_prices(None)))
    assert "rtx3060 gives no power: its own electricity is not counted" in said
    assert "gives no power" not in " ".join(energy_notes(target, None, 100.0, read_prices(None)))
