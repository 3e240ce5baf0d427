"""Folders with short paths."""

from pathlib import Path

import pytest

from deployopt.store.short_folders import short_folder
from deployopt.store.staging import scratch_folder


def test_it_is_short_ours_alone_and_gone_afterwards() -> None:
    with short_folder() as folder:
        assert len(str(folder)) <= 36
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "socket").touch()
    assert not folder.exists()


def test_a_long_place_for_temporary_files_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 40)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    assert scratch_folder() == long
    with short_folder() as folder:
        assert folder.parent != long


def test_what_a_killed_call_left_is_removed_and_what_is_used_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A path that is short enough, whatever pytest's is.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", ".")
    left = tmp_path / "do-0123abcd"
    left.mkdir()
    (tmp_path / "do-something-else").mkdir()
    with short_folder() as used, short_folder():
        assert not left.exists()
        assert used.exists()
    assert (tmp_path / "do-something-else").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["do-something-else"]
