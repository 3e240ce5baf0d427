"""A card is watched through NVML, here on a made-up card behind the real binding's names."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest

from deployopt.core.errors import DeviceError
from deployopt.core.measurement import CardConditions, Conditions
from deployopt.device import card_watch as module
from deployopt.device.card_watch import (
    CardWatch,
    begin_with,
    card_void,
    require_card,
    watch_card,
    with_card,
)
from deployopt.device.conditions import void_reason
from deployopt.device.session import Spent
from deployopt.device.setup import Setup
from tests.fakes.nvml import GIB, FakeCard, nvml_of

OTHER = 1
"""Process 1 is there, and is no child of whoever runs the tests."""


@pytest.fixture
def card() -> FakeCard:
    found = FakeCard()
    found.holds(GIB)
    return found


def watched(card: FakeCard, *, old: bool = False) -> CardWatch:
    now = iter(range(0, 10**12, 10**8))
    return CardWatch(nvml_of(card, old=old), "0000:65:00.0", lambda: next(now))


@pytest.fixture
def sibling() -> Iterator[int]:
    """A process of the same parent: what asks for two children, and this is one of them."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def test_a_quiet_card(card: FakeCard) -> None:
    watch = watched(card)
    watch.begin()
    card.clock, card.degrees, card.milliwatts = 1980, 64, 505_000
    watch.sample()
    card.clock = 1965
    watch.end()
    assert watch.conditions() == CardConditions(
        clock_mhz=1755.0,
        temperature_c=64.0,
        power_w=505.0,
        reasons=(),
        throttled=False,
        others=0,
        others_share=0.0,
        memory_bytes=GIB,
    )
    assert card_void(watch.conditions()) is None


def test_it_is_looked_at_every_tenth_of_a_second_and_not_more(card: FakeCard) -> None:
    times = iter([0, 10**7, 5 * 10**7, 10**8, 10**8])
    watch = CardWatch(nvml_of(card), "", lambda: next(times))
    watch.look()
    asked = card.asked
    watch.sample()
    watch.sample()
    assert card.asked == asked
    watch.sample()
    assert card.asked > asked


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    ("flags", "words", "void"),
    [
        (1, (), None),
        (4, ("power limit",), None),
        (8, ("slowdown",), "the card was throttled (slowdown)"),
        (32, ("heat",), "the card was throttled (heat)"),
        (64 | 4, ("heat", "power limit"), "the card was throttled (heat)"),
        (128, ("power brake",), "the card was throttled (power brake)"),
    ],
)
def test_heat_and_the_power_brake_void_a_round_and_a_power_limit_does_not(
    card: FakeCard, flags: int, words: tuple[str, ...], void: str | None, *, old: bool
) -> None:
    watch = watched(card, old=old)
    watch.begin()
    card.reasons = flags
    watch.sample()
    card.reasons = 0
    watch.end()
    seen = watch.conditions()
    assert (seen.reasons, seen.throttled) == (words, void is not None)
    assert card_void(seen) == void
    assert void_reason(Conditions(card=seen), 1) == void


def test_heat_between_two_looks_is_counted_by_the_driver(card: FakeCard) -> None:
    watch = watched(card)
    card.heat_ns = 9
    watch.begin()
    watch.end()
    assert watch.conditions().throttled is False
    card.heat_ns = 12
    assert watch.conditions().reasons == ("heat",)


def test_who_computed_beside_it_voids_a_round(card: FakeCard) -> None:
    card.utilization = [(OTHER, 5, 90)]
    watch = watched(card)
    watch.begin()
    watch.end()
    assert watch.conditions().others_share == 0.0
    card.processes[OTHER] = 3 * GIB
    card.utilization += [(os.getpid(), 9, 95), (OTHER, 10, 4), (OTHER, 11, 3)]
    watch.end()
    seen = watch.conditions()
    assert (seen.others, seen.others_share) == (1, 0.04)
    assert card_void(seen) is None
    card.utilization.append((OTHER, 12, 30))
    watch.end()
    assert card_void(watch.conditions()) == "another process had 30% of the card's time"


def test_another_process_of_the_same_measurement_is_no_stranger(
    card: FakeCard, sibling: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    card.processes[sibling] = GIB
    card.utilization = [(sibling, 10, 99)]
    # The process that looks is itself a child beside it.
    monkeypatch.setattr(os, "getppid", os.getpid)
    watch = watched(card)
    watch.begin()
    card.utilization.append((sibling, 11, 99))
    watch.end()
    assert watch.conditions().others == 0
    assert watch.conditions().others_share == 0.0


def test_memory_is_the_most_of_the_process_not_of_the_card(card: FakeCard) -> None:
    card.processes[OTHER] = 40 * GIB
    watch = watched(card)
    watch.begin()
    card.holds(3 * GIB)
    watch.sample()
    card.holds(2 * GIB)
    watch.end()
    seen = watch.conditions()
    assert (seen.memory_bytes, seen.memory_of) == (3 * GIB, "process")
    card.holds(5 * GIB)
    assert watch.memory_now() == 5 * GIB


def test_where_processes_have_other_numbers_the_cards_rise_stands_and_nobody_is_accused(
    card: FakeCard,
) -> None:
    card.processes = {OTHER: GIB}
    watch = watched(card)
    watch.begin()
    card.used += 2 * GIB
    card.utilization = [(OTHER, 9, 99)]
    watch.end()
    seen = watch.conditions()
    assert (seen.memory_bytes, seen.memory_of) == (2 * GIB, "card")
    assert (seen.others, seen.others_share) == (None, None)
    assert card_void(seen) is None


def test_what_others_take_while_it_waits_is_not_its_rise(card: FakeCard) -> None:
    card.processes = {OTHER: GIB}
    watch = watched(card)
    card.used += 2 * GIB  # its model
    watch.begin()
    card.used += 5 * GIB  # another's, which is opened before the first turn
    watch.begin()
    card.used += GIB
    watch.end()
    card.used -= 5 * GIB  # the other one has ended
    watch.begin()
    watch.end()
    assert watch.conditions().memory_bytes == 3 * GIB
    card.used += GIB
    assert watch.memory_now() == 4 * GIB


def test_samples_that_cannot_be_accuse_nobody_and_hide_nobody(card: FakeCard) -> None:
    watch = watched(card)
    watch.begin()
    card.utilization = [(7, 2**60, 2_147_483_632)]
    watch.end()
    assert watch.conditions().others_share == 0.0
    card.utilization.append((OTHER, 10, 30))
    watch.end()
    assert watch.conditions().others_share == 0.3


def test_what_a_driver_does_not_tell_is_left_empty(card: FakeCard) -> None:
    card.clock = card.degrees = card.milliwatts = card.reasons = card.heat_ns = None
    card.processes[os.getpid()] = None
    watch = watched(card)
    watch.begin()
    watch.end()
    seen = watch.conditions()
    assert (seen.clock_mhz, seen.temperature_c, seen.power_w) == (None, None, None)
    assert (seen.throttled, seen.memory_of) == (None, "card")


def test_a_card_is_found_by_its_place_on_the_bus(
    card: FakeCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert watch_card("cpu") is None
    monkeypatch.setattr(module, "card_address", lambda: "0000:65:00.0")
    monkeypatch.setattr(importlib, "import_module", lambda _: nvml_of(card))
    watch = watch_card("cuda")
    assert watch is not None
    assert watch.memory_now() == GIB
    monkeypatch.setattr(module, "card_address", lambda: None)
    assert watch_card("cuda") is None


def test_another_card_than_the_targets_is_not_measured(
    card: FakeCard, monkeypatch: pytest.MonkeyPatch, text_setup: Setup
) -> None:
    monkeypatch.setattr(module, "card_address", lambda: "0000:65:00.0")
    monkeypatch.setattr(importlib, "import_module", lambda _: nvml_of(card))
    meant = msgspec.structs.replace(text_setup, provider="cuda", card="Tesla T4")
    card.name = "Tesla T4"
    require_card(meant)
    card.name = "NVIDIA GeForce RTX 4090"
    with pytest.raises(DeviceError, match=r"begins with NVIDIA.*not the target's Tesla T4.*nvidia"):
        require_card(meant)
    card.name = None
    with pytest.raises(DeviceError, match="begins with one that it does not name"):
        require_card(meant)
    require_card(msgspec.structs.replace(meant, card=None))
    require_card(msgspec.structs.replace(meant, provider="cpu"))
    monkeypatch.setattr(module, "card_address", lambda: None)
    require_card(meant)


def test_a_round_on_a_card_that_nobody_watched_knows_no_memory() -> None:
    plain = Conditions(load1=0.5)
    assert with_card(plain, "cpu", None) == plain
    seen = with_card(plain, "cuda", None)
    assert seen.card == CardConditions()
    spent = Spent()
    spent.add(1.0, 4.0)
    spent.add(1.0, 4.0, captured=True)
    spent.uncaptured = "why"
    assert with_card(plain, "cuda", None, spent).card == CardConditions(
        copied_share=0.2, captured_share=0.5, uncaptured="why"
    )
    assert void_reason(seen, 1) is None
    assert msgspec.to_builtins(plain).get("card") is None


def test_the_binding_has_every_name_that_is_used() -> None:
    real = pytest.importorskip("pynvml")
    made = nvml_of(FakeCard())
    assert [
        name for name in vars(made) if name[:4].casefold() == "nvml" and not hasattr(real, name)
    ] == []
    sample = {name for name, _ in real.c_nvmlProcessUtilizationSample_t._fields_}
    assert {"pid", "timeStamp", "smUtil"} <= sample
    for name in ("GpuIdle", "SwPowerCap", "HwSlowdown", "HwThermalSlowdown"):
        word = f"nvmlClocksEventReason{name}"
        assert getattr(real, word) == getattr(made, word)


@pytest.mark.parametrize(
    ("visible", "at", "wanted"),
    [(None, 2, "2"), ("GPU-a,GPU-b", 1, "GPU-b"), ("3", 0, "3"), ("", 1, "1")],
)
def test_a_copy_begins_with_its_own_card(
    text_setup: Setup, monkeypatch: pytest.MonkeyPatch, visible: str | None, at: int, wanted: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    begin_with(msgspec.structs.replace(text_setup, provider="cuda", card_at=at))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == wanted


def test_a_copy_without_a_card_is_refused(
    text_setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(DeviceError, match="names 2 cards"):
        begin_with(msgspec.structs.replace(text_setup, provider="cuda", card_at=2))
    begin_with(msgspec.structs.replace(text_setup, provider="cpu", card_at=2))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
