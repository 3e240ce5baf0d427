"""What a device says of itself."""

import platform
from pathlib import Path

import msgspec
import pytest

from deployopt.remote.facts import Facts, check_system
from deployopt.remote.helper import boot_id, cache_root, facts


def test_this_machine_would_do(tmp_path: Path) -> None:
    found = msgspec.convert(facts(tmp_path), Facts)
    check_system("here", found)
    assert found.python == platform.python_version()
    assert found.disk_free_bytes > 0
    assert found.boot == boot_id() != ""


def test_its_folder_follows_the_users_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "deployopt/device"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache/deployopt/device"
