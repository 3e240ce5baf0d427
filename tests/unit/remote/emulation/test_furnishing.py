"""What is missing is said before anything is fetched."""

import platform
from pathlib import Path

import pytest

from deployopt.core.errors import DeviceError, UsageError
from deployopt.planning.targets import load_target
from deployopt.remote.emulation.furnishing import furnished


def test_every_program_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="qemu-aarch64, mmdebstrap, gcc are not installed"):
        furnished(tmp_path / "store", load_target("rpi4"))
    assert not (tmp_path / "store").exists()


def test_a_target_is_looked_at_first(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="x86-cpu is x86_64"):
        furnished(tmp_path, load_target("x86-cpu"))
