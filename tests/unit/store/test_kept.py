"""Folders that are made once: whole, or not there."""

import errno
from pathlib import Path

import pytest

from deployopt.core.errors import DeviceError, StorageError
from deployopt.store.kept import kept_folder
from deployopt.store.locks import seize


def fill(folder: Path) -> None:
    folder.mkdir()
    (folder / "file").write_text("made")


def test_it_is_made_once(tmp_path: Path) -> None:
    made = kept_folder(tmp_path / "home", "one", fill)
    assert (made / "file").read_text() == "made"

    def never(_: Path) -> None:
        raise AssertionError

    assert kept_folder(tmp_path / "home", "one", never) == made
    assert [path.name for path in made.parent.iterdir()] == ["one"]


def test_it_is_held_while_the_process_lives(tmp_path: Path) -> None:
    made = kept_folder(tmp_path, "one", fill)
    assert seize(made) is None
    # Removed behind its back it is made again, and held again.
    (made / "file").unlink()
    made.rmdir()
    assert (kept_folder(tmp_path, "one", fill) / "file").read_text() == "made"
    assert seize(made) is None


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        fill(folder)
        raise DeviceError("no network")

    with pytest.raises(DeviceError, match="no network"):
        kept_folder(tmp_path, "one", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    def fail(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError):
        kept_folder(tmp_path, "one", fail)
    assert list(tmp_path.iterdir()) == []


def test_what_another_run_has_made_meanwhile_stays(tmp_path: Path) -> None:
    def late(folder: Path) -> None:
        fill(folder)
        (tmp_path / "one").mkdir()
        (tmp_path / "one" / "file").write_text("theirs")

    made = kept_folder(tmp_path, "one", late)
    assert (made / "file").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_what_a_killed_run_left_goes(tmp_path: Path) -> None:
    left = tmp_path / ".deployopt-1-0123456789abcdef.partial"
    left.mkdir()
    kept_folder(tmp_path, "one", fill)
    assert not left.exists()
