"""A program in ssh's place that notes how it was called and runs the command on this machine."""

import os
import sys
from pathlib import Path

import msgspec
import pytest

from deployopt.remote.ssh import DEVICE_PYTHON, SSH_CONFIG

_PROGRAM = """#!/bin/sh
for word in "$@"; do printf '%s\\0' "$word" >> "{record}"; last=$word; done
printf '\\n' >> "{record}"
export XDG_CACHE_HOME="{cache}"
exec /bin/sh -c "${{SSH_STAND_IN:-$last}}"
"""


class StandIn(msgspec.Struct, frozen=True, kw_only=True):
    """Where it notes, and where the device's files go."""

    record: Path
    root: Path

    @property
    def calls(self) -> list[list[str]]:
        lines = self.record.read_text(encoding="utf-8").split("\0\n")[:-1]
        return [line.split("\0") for line in lines]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """It stands first on the path; what SSH_STAND_IN holds is run in the command's place."""
    folder = tmp_path / "stand-in"
    folder.mkdir()
    record, cache = folder / "record", folder / "cache"
    program = folder / "ssh"
    program.write_text(_PROGRAM.format(record=record, cache=cache), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("DEPLOYOPT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(DEVICE_PYTHON, sys.executable)
    monkeypatch.delenv(SSH_CONFIG, raising=False)
    return StandIn(record=record, root=cache / "deployopt/device")
