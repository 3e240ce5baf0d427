"""The child's own arithmetic; what it does in whole is in test_accuracy and test_latency."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.errors import DeviceError
from deployopt.core.measurement import Conditions
from deployopt.core.samples import encode_samples
from deployopt.device import child
from deployopt.device.card_watch import CardWatch
from deployopt.device.child import answer, count_non_finite
from deployopt.device.conditions import void_reason
from deployopt.device.protocol import Timed, TimeRequest
from deployopt.device.session import open_session
from deployopt.device.setup import Setup
from tests.fakes.nvml import GIB, FakeCard, nvml_of


def test_examples_with_a_bad_output_are_counted_once() -> None:
    good = np.zeros((3, 2), dtype=np.float32)
    bad = good.copy()
    bad[1] = [np.nan, np.inf]
    assert count_non_finite({"a": good}, 3) == 0
    assert count_non_finite({"a": bad, "b": bad}, 3) == 1
    assert count_non_finite({"a": np.array([1, 2, 3])}, 3) == 0


def test_an_output_that_is_not_by_example_spoils_them_all() -> None:
    assert count_non_finite({"a": np.array(np.nan)}, 3) == 3
    assert count_non_finite({"a": np.array([0.0, np.nan])}, 3) == 3


@pytest.fixture
def request_on_card(
    text_setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> TimeRequest:
    """A round on a card; what answers is the CPU."""
    monkeypatch.setattr(child, "open_session", lambda *_: open_session(text_setup))
    ids = np.array([[2, 3]], dtype=np.int64)
    feeds = tmp_path / "feeds.npz"
    feeds.write_bytes(encode_samples([{"input_ids": ids, "attention_mask": np.ones_like(ids)}] * 8))
    return TimeRequest(
        setup=msgspec.structs.replace(text_setup, provider="cuda"),
        feeds=feeds,
        expected=None,
        requests=20,
        min_s=0.0,
        seed=1,
    )


def test_nothing_is_asked_of_another_card(
    request_on_card: TimeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(setup: Setup) -> None:
        raise DeviceError(f"not {setup.card}")

    monkeypatch.setattr(child, "require_card", refuse)
    with pytest.raises(DeviceError, match="not None"):
        answer(request_on_card, lambda _: None)


@pytest.mark.parametrize(
    ("reasons", "void"), [(0, None), (4, None), (64, "the card was throttled (heat)")]
)
def test_a_round_on_a_card_says_what_the_card_did(
    request_on_card: TimeRequest, monkeypatch: pytest.MonkeyPatch, reasons: int, void: str | None
) -> None:
    card = FakeCard()
    card.holds(GIB)
    card.reasons = reasons
    watch = CardWatch(nvml_of(card), "")
    monkeypatch.setattr(child, "watch_card", lambda _: watch)
    monkeypatch.setattr(child, "void_reason", _of_the_card_only)
    timed = answer(request_on_card, lambda _: None)
    assert isinstance(timed, Timed)
    seen = timed.round.conditions.card
    assert seen is not msgspec.UNSET
    assert (seen.clock_mhz, seen.temperature_c, seen.power_w) == (1755.0, 61.0, 310.0)
    assert timed.round.memory_bytes == GIB
    assert timed.round.void == void


def test_a_round_that_nobody_watched_knows_no_memory(
    request_on_card: TimeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "watch_card", lambda _: None)
    timed = answer(request_on_card, lambda _: None)
    assert isinstance(timed, Timed)
    assert timed.round.memory_bytes is None
    assert timed.round.peak_rss_bytes > 0


def _of_the_card_only(conditions: Conditions, threads: int) -> str | None:
    """The machine that tests may be busy."""
    return void_reason(Conditions(card=conditions.card), threads)
