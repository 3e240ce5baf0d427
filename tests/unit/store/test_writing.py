"""A file is whole under its name, or the name is as it was."""

import os
import stat
from pathlib import Path

import pytest

from deployopt.core.errors import StorageError
from deployopt.store.writing import (
    append_to_regular,
    atomic_write_bytes,
    copy_new_file,
    make_folders,
    new_file,
    write_new_file,
)


def test_a_file_is_made_with_its_folders_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "made" / "here" / "report.html"
    atomic_write_bytes(path, b"first")
    atomic_write_bytes(path, b"second")
    assert path.read_bytes() == b"second"
    assert [child.name for child in path.parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_mode_is_0644_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        atomic_write_bytes(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_a_link_is_replaced_and_what_it_names_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    atomic_write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "precious").read_bytes() == b"precious"
    with pytest.raises(FileExistsError):
        write_new_file(tmp_path / "precious", b"")


def test_a_failing_write_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    atomic_write_bytes(path, b"old")

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match=r"Failed writing at .*Input/output error"):
        atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [child.name for child in tmp_path.iterdir()] == ["a"]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    data = bytes(range(100))
    atomic_write_bytes(tmp_path / "a", data)
    assert copy_new_file(tmp_path / "a", tmp_path / "b")[0] == 100
    assert (tmp_path / "b").read_bytes() == data


def test_only_a_regular_file_is_copied(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    for source in (tmp_path / "link", Path("/dev/zero")):
        with pytest.raises(OSError, match=r"symbolic|regular"):
            copy_new_file(source, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_folders_that_are_there_are_fine(tmp_path: Path) -> None:
    make_folders(tmp_path / "a/b")
    make_folders(tmp_path / "a/b")
    assert (tmp_path / "a/b").is_dir()


def test_a_stream_into_a_new_file_is_whole_and_readable(tmp_path: Path) -> None:
    path = tmp_path / "streamed"
    with new_file(path) as stream:
        stream.write(b"one")
        stream.write(b"two")
    assert path.read_bytes() == b"onetwo"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    with pytest.raises(FileExistsError), new_file(path):
        pass


def test_what_is_named_by_others_is_added_to_where_it_is_a_plain_file(tmp_path: Path) -> None:
    append_to_regular(tmp_path / "a", b"one\n")
    append_to_regular(tmp_path / "a", b"two\n")
    assert (tmp_path / "a").read_bytes() == b"one\ntwo\n"
    (tmp_path / "link").symlink_to(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "link", tmp_path / "pipe", Path("/dev/full"), tmp_path):
        with pytest.raises(StorageError, match="Failed writing"):
            append_to_regular(path, b"three\n")
    assert (tmp_path / "a").read_bytes() == b"one\ntwo\n"
