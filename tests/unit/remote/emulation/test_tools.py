"""Programs that are missing, too old, fail, hang or die of an illegal instruction."""

import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deployopt.core.errors import DeviceError, StorageError, UsageError
from deployopt.remote.emulation.tools import (
    find_emulator,
    find_tools,
    refuse_arm_host,
    run_tool,
)


def script(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder where programs are looked for, on an x86 machine."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    return tmp_path


def test_what_is_missing_is_named_with_its_packages(programs: Path) -> None:
    script(programs, "gcc", "true")
    with pytest.raises(DeviceError) as caught:
        find_tools("qemu-aarch64", "mmdebstrap", "gcc")
    text = str(caught.value)
    assert "qemu-aarch64, mmdebstrap are not installed" in text
    assert "apt-get install --no-install-recommends qemu-user mmdebstrap gcc libc6-dev" in text


@pytest.mark.parametrize(
    ("said", "api"),
    [("7.2.22 (Debian 1:7.2)", 1), ("8.2.2", 1), ("9.0.1", 2), ("9.1.0", 3), ("10.0.2", 3)],
)
def test_the_emulator_and_its_plugin_interface(programs: Path, said: str, api: int) -> None:
    script(programs, "qemu-aarch64", f'echo "qemu-aarch64 version {said}"')
    found = find_emulator()
    assert found.path == str(programs / "qemu-aarch64")
    assert said.startswith(found.version)
    assert found.plugin_api == api


@pytest.mark.parametrize("said", ["qemu-aarch64 version 5.2.0", "something else"])
def test_an_old_emulator_is_refused(programs: Path, said: str) -> None:
    script(programs, "qemu-aarch64", f'echo "{said}"')
    with pytest.raises(DeviceError, match=r"version 7.1 or later"):
        find_emulator()


def test_an_arm_machine_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(UsageError, match="deployopt verify BUNDLE"):
        refuse_arm_host()


def test_what_it_prints() -> None:
    assert run_tool([sys.executable, "-c", "print(2)"], "Adding") == "2\n"


def test_a_failure_has_its_last_words() -> None:
    with pytest.raises(DeviceError, match=r"Trying failed \(exit code 7\). It said: b \| c$"):
        run_tool(["sh", "-c", "echo b >&2; echo ' c' >&2; exit 7"], "Trying")


def test_a_full_disk_is_one() -> None:
    with pytest.raises(StorageError, match="the disk is full"):
        run_tool(["sh", "-c", "echo 'x: No space left on device' >&2; exit 1"], "Fetching")


def test_a_missing_instruction_is_told() -> None:
    with pytest.raises(DeviceError, match=r"killed by SIGILL.*that the processor lacks"):
        run_tool(["sh", "-c", "kill -ILL $$"], "Importing")


def test_what_hangs_is_stopped() -> None:
    with pytest.raises(DeviceError, match=r"took more than 0.2 s"):
        run_tool(["sleep", "60"], "Waiting", timeout_s=0.2)


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs util-linux")
def test_nothing_goes_on_when_this_process_is_killed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    inner = (
        f"from deployopt.remote.emulation.tools import run_tool; run_tool({_writing(mark)}, 'x')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", inner], env=os.environ | {"PYTHONPATH": ROOT}
    ) as us:
        while not mark.exists():
            time.sleep(0.01)
        us.kill()
    time.sleep(0.2)
    size = mark.stat().st_size
    time.sleep(0.3)
    assert mark.stat().st_size == size


ROOT = str(Path(__file__).parents[4])


def _writing(path: Path) -> list[str]:
    return ["sh", "-c", f"while :; do echo >> '{path}'; sleep 0.05; done"]
