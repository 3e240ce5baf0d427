"""Shapes to be left: rounding, spreading, and what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.errors import StepError
from deployopt.modeling.pruning.shape import FFN_MULTIPLE, Shape, smaller, spread_layers

WHOLE = Shape(layers=tuple(range(6)), heads=12, ffn=1536)


def test_nothing_named_is_all_of_it() -> None:
    assert smaller(WHOLE) == WHOLE
    odd = Shape(layers=(0,), heads=3, ffn=50)
    assert smaller(odd) == odd


def test_shares_are_rounded_to_what_kernels_take() -> None:
    found = smaller(WHOLE, layers=(0, 2, 4), ffn=0.33, heads=0.5)
    assert found == Shape(layers=(0, 2, 4), heads=6, ffn=512)
    assert smaller(WHOLE, ffn=1e-9, heads=1e-9) == Shape(layers=WHOLE.layers, heads=1, ffn=16)
    assert smaller(Shape(layers=(0,), heads=1, ffn=50), ffn=0.99).ffn == 48


@given(st.integers(1, 5000), st.floats(0.001, 1))
def test_it_never_grows(ffn: int, share: float) -> None:
    found = smaller(Shape(layers=(0,), heads=4, ffn=ffn), ffn=share).ffn
    assert 0 < found <= ffn
    assert found == ffn or found % FFN_MULTIPLE == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": (0, 6)}, "has layers 0 to 5"),
        ({"layers": (2, 1)}, "in rising order"),
        ({"layers": (1, 1)}, "Name each once"),
        ({"ffn": 0.0}, "share of ffn to keep is 0.0"),
        ({"heads": 1.01}, "share of heads to keep is 1.01"),
    ],
)
def test_what_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(StepError, match=words):
        smaller(WHOLE, **options)


def test_layers_are_spread_evenly_from_the_first() -> None:
    assert spread_layers(6, 3) == (0, 2, 4)
    assert spread_layers(6, 4) == (0, 1, 3, 4)
    assert spread_layers(12, 1) == (0,)
    assert spread_layers(5, 5) == (0, 1, 2, 3, 4)
    for kept in (0, 7):
        with pytest.raises(StepError, match=f"{kept} layers cannot be kept of 6"):
            spread_layers(6, kept)
