"""Lock files that are damaged, and what a lock says of a name."""

from pathlib import Path

import pytest

from deployopt.core.bundle import FileEntry, Origin
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.sources.locking import (
    check_locked,
    encode_lock,
    lock_of,
    locked_commit,
    read_lock,
)

ORIGIN = Origin(
    asked="m",
    resolved=f"hub:o/n@{'a' * 40}",
    files=(FileEntry(path="x", size_bytes=1, sha256="0" * 64),),
)


def test_a_lock_comes_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(encode_lock(lock_of([ORIGIN])))
    lock = read_lock(tmp_path / "lock")
    assert lock == lock_of([ORIGIN])
    assert locked_commit("m", lock) == "a" * 40
    assert locked_commit("other", None) is None
    check_locked(ORIGIN, lock)
    with pytest.raises(UsageError, match="which has m"):
        locked_commit("other", lock)


def test_a_missing_file_is_drift() -> None:
    bare = Origin(asked="m", resolved=ORIGIN.resolved)
    with pytest.raises(IntegrityError, match="x is missing"):
        check_locked(bare, lock_of([ORIGIN]))


@pytest.mark.parametrize("content", [b"{", b'{"version": 9}', b'{"versoin": 1}'])
def test_a_damaged_lock(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lock").write_bytes(content)
    with pytest.raises(IntegrityError):
        read_lock(tmp_path / "lock")
    with pytest.raises(UsageError, match="cannot be read"):
        read_lock(tmp_path / "none")
