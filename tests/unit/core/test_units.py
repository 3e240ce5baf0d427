"""Quantities: what is read, what is refused, and that writing loses nothing."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.units import (
    UNITS,
    Bandwidth,
    Compute,
    Dimension,
    Duration,
    Power,
    Quantity,
    Share,
    Size,
    parse_quantity,
    show_quantity,
)

KINDS = (Duration, Size, Share, Bandwidth, Compute, Power)


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("60 ms", Dimension.TIME, 0.06),
        ("60ms", Dimension.TIME, 0.06),
        ("2 min", Dimension.TIME, 120.0),
        ("512 MiB", Dimension.SIZE, 512 * 2**20),
        ("1 pt", Dimension.SHARE, 0.01),
        ("1 %", Dimension.SHARE, 0.01),
        ("0.7 pt", Dimension.SHARE, 0.007),
        ("5.5 GB/s", Dimension.BANDWIDTH, 5.5e9),
        ("20 TOP/s", Dimension.COMPUTE, 2e13),
        ("1.6 kW", Dimension.POWER, 1600.0),
        ("0 J", Dimension.ENERGY, 0.0),
    ],
)
def test_reads(text: str, dimension: Dimension, value: float) -> None:
    assert parse_quantity(text, dimension) == value


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("60", "no unit"),
        ("60 sec", "'sec'"),
        ("60 MS", "'MS'"),
        ("-1 ms", "not a number"),
        ("ms", "not a number"),
        ("", "not a number"),
        ("1,5 ms", "not a number"),
        ("nan ms", "not a number"),
        ("1e999 ms", "too large"),
        ("1" * 100 + " ms", "not a number"),
        ("٣ ms", "not a number"),
    ],
)
def test_refuses_and_says_which_units(text: str, part: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_quantity(text, Dimension.TIME)
    assert part in str(caught.value)
    assert "ms" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@given(value=st.floats(min_value=0, allow_infinity=False, allow_nan=False))
def test_what_is_written_reads_back_exactly(kind: type[Quantity], value: float) -> None:
    text = kind(value).written()
    assert kind.parse(text) == value


@pytest.mark.parametrize("value", [math.inf, math.nan, -1.0])
def test_what_is_no_quantity_is_not_written(value: float) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        Duration(value).written()


@pytest.mark.parametrize("value", [4, 4.0, True, None, ["4 GB"]])
def test_a_bare_number_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(TypeError, match='such as "1 MiB"'):
        Size.parse(value)


@given(
    number=st.decimals(min_value=0, max_value=10**6, places=3),
    dimension=st.sampled_from(list(Dimension)),
    data=st.data(),
)
def test_every_unit_scales_in_proportion(
    number: object, dimension: Dimension, data: st.DataObject
) -> None:
    unit = data.draw(st.sampled_from(sorted(UNITS[dimension])))
    found = parse_quantity(f"{number} {unit}", dimension)
    assert math.isclose(found, float(str(number)) * UNITS[dimension][unit], rel_tol=1e-12)


@pytest.mark.parametrize(
    ("value", "dimension", "shown"),
    [
        (0.0605, Dimension.TIME, "60.5 ms"),
        (1.5, Dimension.TIME, "1.50 s"),
        (2.0**29, Dimension.SIZE, "512 MiB"),
        (0.01, Dimension.SHARE, "1.00 pt"),
        (-0.002, Dimension.SHARE, "-0.200 pt"),
        (0.0, Dimension.TIME, "0 us"),
        (math.inf, Dimension.SIZE, "unbounded"),
    ],
)
def test_shows(value: float, dimension: Dimension, shown: str) -> None:
    assert show_quantity(value, dimension) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.2931, "290 ms"), (0.0141, "14 ms"), (1.26, "1.3 s"), (1195, "1200 s")]
)
def test_two_digits_are_two(value: float, shown: str) -> None:
    assert show_quantity(value, Dimension.TIME, 2) == shown
