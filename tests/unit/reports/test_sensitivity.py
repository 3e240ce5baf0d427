"""The bars of sensitivity: twenty at most, all on one scale, odd errors harmless."""

import msgspec
import pytest

from deployopt.reports.sensitivity import SHOWN, draw_sensitivity
from tests.fakes import search
from tests.fakes.markup import read_xml


def lengths(svg: str) -> list[float]:
    return [float(e.get("width", "0")) for e in read_xml(svg).iter("rect")]


def test_the_most_sensitive_and_no_more() -> None:
    svg = draw_sensitivity(search.layers(40))
    found = lengths(svg)
    assert len(found) == SHOWN
    assert found == sorted(found, reverse=True)
    assert found[-1] > 10
    assert "log scale" in svg
    assert svg.count("kept in float") == 2
    assert svg.count("w-provisional") == 2
    assert "/distilbert/transformer/layer.0/ffn/lin1/MatMul (MatMul)" in svg


def test_like_errors_are_on_a_linear_scale() -> None:
    alike = [
        msgspec.structs.replace(layer, error=0.03 - 0.001 * k)
        for k, layer in enumerate(search.layers(10))
    ]
    svg = draw_sensitivity(alike)
    assert "log scale" not in svg
    found = lengths(svg)
    assert found[9] / found[0] == pytest.approx(0.7, abs=1e-3)


@pytest.mark.parametrize("least", [1e-5, 5e-2])
def test_odd_errors_have_no_or_a_whole_bar(least: float) -> None:
    errors = (0.0, float("nan"), float("inf"), 0.1, least)
    odd = [
        msgspec.structs.replace(layer, error=error)
        for layer, error in zip(search.layers(5), errors, strict=True)
    ]
    zero, unknown, endless, most, some = lengths(draw_sensitivity(odd))
    assert zero == unknown == 0
    assert endless > most > some > 0


def test_nothing_known() -> None:
    assert draw_sensitivity(()) == ""
    none = [msgspec.structs.replace(layer, error=0.0) for layer in search.layers(3)]
    assert lengths(draw_sensitivity(none)) == [0, 0, 0]


def test_the_end_of_a_long_name_is_shown() -> None:
    long = [
        msgspec.structs.replace(layer, name=f"{'deep' * 20}_{k}")
        for k, layer in enumerate(search.layers(2))
    ]
    svg = draw_sensitivity(long)
    assert "…" in svg
    assert "deep_0<" in svg
    assert "deep_1<" in svg
