"""The lock of a device: shared by all, or held for those with a token."""

import os
from pathlib import Path

import pytest

from deployopt.remote.claiming import (
    InUseError,
    TwiceError,
    hold_device,
    lock_path,
    share_device,
)


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_all_share_it_and_nobody_holds_it_then() -> None:
    users = [share_device(""), share_device("")]
    with pytest.raises(InUseError, match="another call of deployopt uses it"):
        hold_device("mine")
    for user in users:
        os.close(user)
    os.close(hold_device("mine"))


def test_who_holds_it_lets_in_its_own_only() -> None:
    holder = hold_device("mine")
    for token in ("", "yours"):
        with pytest.raises(InUseError, match="held by a call"):
            share_device(token)
    os.close(share_device("mine"))
    with pytest.raises(TwiceError):
        hold_device("mine")
    with pytest.raises(InUseError):
        hold_device("yours")
    assert "mine" not in lock_path().read_text()
    os.close(holder)
    os.close(share_device(""))
    # What a holder wrote that is gone lets nobody in.
    other = hold_device("yours")
    with pytest.raises(InUseError):
        share_device("mine")
    os.close(other)


def test_it_follows_no_link(tmp_path: Path) -> None:
    lock_path().symlink_to(tmp_path / "else")
    with pytest.raises(OSError, match="symbolic"):
        share_device("")
    assert not (tmp_path / "else").exists()
