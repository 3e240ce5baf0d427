"""The sum, and the band that weights hold up from below."""

import pytest

from deployopt.core.memory import Part
from deployopt.planning.memory.bands import memory_need, reaching_to

RUNTIME = Part(name="runtime", bytes=100)


def test_the_band_is_a_share_and_the_runtime_s_own() -> None:
    need = memory_need((Part(name="activations", bytes=1000), RUNTIME), 0.15, "x", runtime_band=50)
    assert need.total.value == 1100
    assert (need.total.lower, need.total.upper) == pytest.approx((900, 1300))


def test_empty_parts_are_not_shown() -> None:
    need = memory_need((Part(name="logits", bytes=0), RUNTIME), 0.15, "x", runtime_band=0)
    assert [part.name for part in need.parts] == ["runtime"]


def test_weights_are_there_whatever_else_is() -> None:
    parts = (Part(name="weights", bytes=1000), Part(name="optimizer", bytes=1000))
    need = memory_need(parts, 0.25, "x", runtime_band=0)
    assert need.total.lower == pytest.approx(930 + 850)


def test_the_band_never_reaches_below_nothing() -> None:
    assert memory_need((RUNTIME,), 0.15, "x", runtime_band=500).total.lower == 0


def test_a_band_reaches_to_what_nothing_decides_between() -> None:
    one, other = (
        memory_need((Part(name="activations", bytes=n),), 0.5, "x", runtime_band=0)
        for n in (100, 300)
    )
    found = reaching_to(one, other)
    assert (found.total.value, found.parts) == (100, one.parts)
    assert (found.total.lower, found.total.upper) == (50, 450)
