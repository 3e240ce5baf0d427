"""Digests depend on names and bytes, and on nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployopt.core.bundle import FileEntry
from deployopt.core.errors import RefusedInputError
from deployopt.store.digests import (
    DigestMemo,
    entries_digest,
    file_entry,
    folder_digest,
    folder_entries,
    sha256_file,
)


def fill(folder: Path, contents: dict[str, bytes]) -> Path:
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def test_the_sha256_of_a_file_longer_than_one_chunk(tmp_path: Path) -> None:
    path = tmp_path / "zeros"
    path.write_bytes(bytes(2**20 + 1))
    # printf of 1048577 zero bytes through sha256sum
    assert sha256_file(path) == "2cb74edba754a81d121c9db6833704a8e7d417e5b13d1a19f4a52f007d644264"
    assert file_entry(path, "z") == FileEntry(
        path="z", size_bytes=2**20 + 1, sha256=sha256_file(path)
    )


def test_same_content_elsewhere_later_and_in_other_order_has_the_same_digest(
    tmp_path: Path,
) -> None:
    first = fill(tmp_path / "first", {"a": b"1", "b/c": b"2", "b-d": b"3"})
    second = fill(tmp_path / "second/deep", {"b-d": b"3", "b/c": b"2", "a": b"1"})
    for path in second.rglob("*"):
        os.utime(path, (0, 0))
    assert folder_digest(first) == folder_digest(second)
    assert [entry.path for entry in folder_entries(first)] == ["a", "b-d", "b/c"]


@pytest.mark.parametrize(
    "contents",
    [
        {"a": b"12", "b": b""},
        {"a": b"1", "c": b"2"},
        {"a": b"1"},
        {"a": b"2", "b": b"1"},
        {"a/b": b"2", "a1": b"1"},
    ],
)
def test_other_names_or_bytes_have_another_digest(
    tmp_path: Path, contents: dict[str, bytes]
) -> None:
    base = fill(tmp_path / "base", {"a": b"1", "b": b"2"})
    assert folder_digest(base) != folder_digest(fill(tmp_path / "other", contents))


def test_the_order_of_entries_does_not_count_and_their_fields_cannot_run_together() -> None:
    def entry(path: str, size: int) -> FileEntry:
        return FileEntry(path=path, size_bytes=size, sha256="0" * 64)

    assert entries_digest([entry("a", 1), entry("b", 2)]) == entries_digest(
        [entry("b", 2), entry("a", 1)]
    )
    assert entries_digest([entry("a1", 2)]) != entries_digest([entry("a", 12)])


def test_time_zone_and_hash_seed_do_not_count(tmp_path: Path) -> None:
    fill(tmp_path, {f"dir{n % 3}/file{n}": bytes([n]) for n in range(20)})
    program = (
        "import sys; from pathlib import Path; from deployopt.store.digests import folder_digest\n"
        "from deployopt.store.keys import cache_key\n"
        "print(folder_digest(Path(sys.argv[1])), cache_key({n: 1 for n in {'a', 'b', 'c', 'd'}}))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            env={**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "LC_ALL": "C"},
            check=True,
            capture_output=True,
        ).stdout
        for zone, seed in (("UTC", "0"), ("Pacific/Kiritimati", "1"), ("America/Lima", "77"))
    }
    assert len(answers) == 1


@pytest.mark.parametrize("kind", ["link", "folder link", "hard link", "pipe"])
def test_anything_but_a_plain_file_is_refused(tmp_path: Path, kind: str) -> None:
    folder = fill(tmp_path / "folder", {"a": b"1"})
    fill(tmp_path, {"outside": b"secret"})
    odd = folder / "odd"
    if kind == "link":
        odd.symlink_to(tmp_path / "outside")
    elif kind == "folder link":
        odd.symlink_to(tmp_path)
    elif kind == "hard link":
        odd.hardlink_to(tmp_path / "outside")
    else:
        os.mkfifo(odd)
    with pytest.raises(RefusedInputError, match="'odd'"):
        folder_entries(folder)


def test_a_pipe_or_link_itself_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with pytest.raises(RefusedInputError, match="regular"):
        sha256_file(tmp_path / "pipe")
    with pytest.raises(OSError, match="symbolic"):
        sha256_file(tmp_path / "link")


def test_a_memo_reads_once_and_notices_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    real = os.readv

    def counted(descriptor: int, buffers: list[bytearray]) -> int:
        reads.append(descriptor)
        return real(descriptor, buffers)

    monkeypatch.setattr(os, "readv", counted)
    memo = DigestMemo()
    path = fill(tmp_path, {"a": b"1"}) / "a"
    first = memo.sha256(path)
    count = len(reads)
    assert memo.sha256(path) == first
    assert len(reads) == count
    path.write_bytes(b"22")
    assert memo.sha256(path) != first
