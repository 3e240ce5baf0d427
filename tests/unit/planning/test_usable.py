"""What one device has."""

import pytest

from deployopt.core.evidence import Estimate
from deployopt.planning.targets import load_target
from deployopt.planning.usable import (
    card_count,
    fits_inside,
    shown_need,
    splits,
    usable_bytes,
)
from tests.fakes.transformers_shapes import encoder, llama


def test_memory_is_of_one_device() -> None:
    four = load_target("a100x4")
    assert card_count(four) == 4
    assert usable_bytes(four) == pytest.approx(38.5 * 2**30)
    assert card_count(load_target("rpi4")) == 1


def test_heads_divide_among_gpus() -> None:
    assert splits(llama(), load_target("a100x4")) == (1, 2, 4)
    assert splits(encoder(), load_target("a100x4")) == (1,)


def test_the_whole_band_has_to_fit() -> None:
    card = load_target("rtx3060")
    known = Estimate(value=10 * 2**30, lower=9 * 2**30, upper=12 * 2**30, basis="x")
    assert not fits_inside(known, card)
    assert shown_need(known) == "9.00 to 12.0 GiB"
