"""Which wheels run on a device, and how pip is asked for them."""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import UnreachableError
from deployopt.remote.wheels import fetch_wheels, pip_wheel, platforms
from tests.unit.remote.test_facts import PI


def test_tags_from_the_devices_c_library_down() -> None:
    tags = platforms(PI)
    assert tags[0] == "manylinux_2_36_aarch64"
    assert tags[-2:] == ("manylinux_2_17_aarch64", "manylinux2014_aarch64")
    assert len(tags) == 36 - 17 + 2
    other = platforms(msgspec.structs.replace(PI, arch="x86_64"))
    assert other[-4:] == (
        "manylinux_2_5_x86_64",
        "manylinux2014_x86_64",
        "manylinux2010_x86_64",
        "manylinux1_x86_64",
    )


def _pip(monkeypatch: pytest.MonkeyPatch, code: int, said: str = "") -> list[Sequence[str]]:
    """Put another program in pip's place; the list of its calls."""
    calls: list[Sequence[str]] = []

    def run(command: Sequence[str], **_options: object) -> "subprocess.CompletedProcess[str]":
        calls.append(command)
        folder = Path(command[command.index("--dest") + 1])
        (folder / "a-1-py3-none-any.whl").write_bytes(b"")
        return subprocess.CompletedProcess(command, code, "", said)

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_pip_is_asked_for_ready_made_wheels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = _pip(monkeypatch, 0)
    found = fetch_wheels("pi", ["numpy>=1,<3"], PI, tmp_path)
    assert [path.name for path in found] == ["a-1-py3-none-any.whl"]
    (command,) = calls
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert command[-1] == "numpy>=1,<3"
    assert {"--no-deps", "--only-binary=:all:", "cp311", "abi3", "none"} <= set(command)
    assert command[command.index("--python-version") + 1] == "3.11"
    assert command[command.index("--platform") + 1] == "manylinux_2_36_aarch64"


def test_no_network_here_either(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _pip(monkeypatch, 1, "WARNING: x\nERROR: No matching distribution found for numpy")
    with pytest.raises(
        UnreachableError, match="No matching distribution found for numpy"
    ) as caught:
        fetch_wheels("pi", ["numpy"], PI, tmp_path)
    assert "DEPLOYOPT_DEVICE_PYTHON" in str(caught.value)


def test_pips_own_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    calls = _pip(monkeypatch, 0)
    (tmp_path / "pip-25-py3-none-any.whl").write_bytes(b"")
    assert pip_wheel("pi", tmp_path).name == "pip-25-py3-none-any.whl"
    assert calls[0][-1] == "pip"
