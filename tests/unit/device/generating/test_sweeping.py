"""Which settings are asked for, in fresh processes, and what is left out with its reason."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.device.device import ThisMachine
from deployopt.device.generating import sweeping
from deployopt.device.generating.sweeping import Sweep, settings_for, sweep
from deployopt.device.setup import Answering, Limits, Setup
from tests.fakes.decoders import END, VOCABULARY
from tests.fakes.devices import MadeUpDevice, idle

TEXT = np.random.default_rng(1).integers(0, VOCABULARY, 300)


@pytest.fixture
def asked(tiny: Setup) -> Sweep:
    return Sweep(setup=tiny, text=TEXT, answering=Answering(tokens=8, context=256), seconds=2.0)


@pytest.mark.parametrize(
    ("answering", "lengths"),
    [
        (Answering(tokens=32, context=2048), {"short": 64, "half": 1024, "full": 2016}),
        (Answering(tokens=32, context=128), {"short": 64, "full": 96}),
        (Answering(tokens=100, context=128), {"short": 28}),
    ],
)
def test_short_half_and_full_then_batches(answering: Answering, lengths: dict[str, int]) -> None:
    found = settings_for(answering)
    assert {s.name: s.prompt_tokens for s in found} == lengths
    assert [s.batch for s in found] == [1] * len(lengths) + [2, 4, 8]
    assert all(s.prompt_tokens + s.answer_tokens <= answering.context for s in found)


def test_every_setting_in_a_process_of_its_own(
    asked: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "BATCHES", (2,))
    told: list[str] = []
    found = sweep(
        asked, ThisMachine(), tmp_path, Limits(), lambda share, what: told.append(f"{share} {what}")
    )
    assert [one.left_out for one in found] == [""] * 4
    assert [one.setting.prompt_tokens for one in found] == [64, 128, 248, 64]
    for one in found:
        assert one.round is not None
        assert one.round.answers is not None
        assert set(one.round.answers.prompt_tokens) == {one.setting.prompt_tokens}
        assert one.round.mismatched == 0
        assert bool(one.round.compared) is (one.setting.batch > 1)
    assert len(told) == 4


def test_what_there_is_no_memory_for_is_left_out(asked: Sweep, tmp_path: Path) -> None:
    found = sweep(asked, ThisMachine(), tmp_path, Limits(memory_bytes=1000))
    assert all("more than is free" in one.left_out for one in found)


def test_what_there_is_no_time_for_is_left_out(asked: Sweep, tmp_path: Path) -> None:
    found = sweep(msgspec.structs.replace(asked, seconds=1e-4), ThisMachine(), tmp_path, Limits())
    assert found[0].round is not None
    assert all("there was no time" in one.left_out for one in found[1:])


def test_a_setting_that_fails_leaves_its_reason(asked: Sweep, tmp_path: Path) -> None:
    device = ThisMachine()
    found = sweep(asked, MadeUpDevice(idle, device.machine), tmp_path, Limits())
    assert {one.left_out for one in found} == {"a made-up device answers no examples"}
    only = msgspec.structs.replace(asked, text=np.asarray([END, END]))
    assert all("no text" in one.left_out for one in sweep(only, device, tmp_path, Limits()))
