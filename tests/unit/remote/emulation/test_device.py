"""How the emulator is started, and what is never asked of it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

import deployopt
from deployopt.core.codec import encode_json
from deployopt.core.errors import DeviceError, IntegrityError
from deployopt.device.machine import describe_machine
from deployopt.device.protocol import TimeRequest
from deployopt.device.setup import Limits, Setup
from deployopt.remote.emulation import device as module
from deployopt.remote.emulation.device import EmulatedDevice
from deployopt.remote.emulation.facts import MODULES, Facts
from deployopt.remote.emulation.processors import PROCESSORS
from deployopt.remote.emulation.tools import Emulator

EMULATOR = Emulator(path="/usr/bin/qemu-aarch64", version="7.2.0", release=(7, 2))


@pytest.fixture
def pi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmulatedDevice:
    """A device whose system is an empty folder."""
    monkeypatch.setattr(module, "processor_root", lambda home, processor: home / processor.name)
    return EmulatedDevice(EMULATOR, PROCESSORS[0], tmp_path, tmp_path / "packages")


def test_its_command_line(pi: EmulatedDevice, tmp_path: Path) -> None:
    words = pi.command("-m", "this", plugin="counter.so,to=there", name=tmp_path / "python")
    assert words[:5] == [EMULATOR.path, "-cpu", "cortex-a72", "-L", str(tmp_path / "cortex-a72")]
    assert words[5:9] == ["-plugin", "counter.so,to=there", "-0", str(tmp_path / "python")]
    assert words[-4:] == [str(tmp_path / "cortex-a72/usr/bin/python3.11"), "-P", "-m", "this"]
    assert f"PYTHONHOME={tmp_path / 'cortex-a72/usr'}" in words
    assert "PYTHONHASHSEED=0" in words
    assert pi.where == "qemu-aarch64 -cpu cortex-a72"


def test_of_what_is_installed_here_it_sees_this_package_alone(
    pi: EmulatedDevice, tmp_path: Path
) -> None:
    setting = next(word for word in pi.command() if word.startswith("PYTHONPATH="))
    ours, packages = (Path(part) for part in setting.partition("=")[2].split(":"))
    assert packages == tmp_path / "packages"
    (link,) = ours.iterdir()
    assert link.resolve() == Path(deployopt.__file__).resolve().parent


def test_it_is_never_asked_for_a_time(pi: EmulatedDevice, tmp_path: Path) -> None:
    setup = Setup(artifact="a" * 64, model=tmp_path / "m.onnx", threads=1)
    request = TimeRequest(
        setup=setup, feeds=tmp_path / "f", expected=None, requests=1, min_s=0, seed=0
    )
    with pytest.raises(DeviceError, match="a time says nothing of the device"):
        pi.ask(request, Limits())


def test_what_it_found_is_asked_once(pi: EmulatedDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = Facts(python="3.11.2", imported=MODULES, machine=describe_machine(runtime=False))
    calls: list[Sequence[str]] = []

    def run(words: Sequence[str], _doing: str, **_options: object) -> str:
        calls.append(words)
        return encode_json(facts).decode() + "\n"

    monkeypatch.setattr(module, "run_tool", run)
    assert pi.facts == facts
    assert pi.machine == facts.machine
    assert len(calls) == 1
    assert pi.limits().memory_bytes is not None


def test_an_answer_that_is_none_is_refused(
    pi: EmulatedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "run_tool", lambda *_, **__: "Illegal instruction")
    with pytest.raises(IntegrityError, match="the emulated Python"):
        assert pi.facts
