"""Fetched bytes against what was listed."""

import hashlib
from pathlib import Path

import pytest

from deployopt.sources.hub_files import HubFile, is_plain, mismatch

DATA = b"content"
SHA256 = hashlib.sha256(DATA).hexdigest()
# git hash-object of the same bytes.
GIT = "6b584e8ece562ebffc15d38808cd6b98fc3d97ea"


@pytest.mark.parametrize(
    ("size", "sha256", "git_sha1", "why"),
    [
        (7, SHA256, None, None),
        (7, None, GIT, None),
        (8, SHA256, None, "7 bytes, listed are 8"),
        (7, "0" * 64, GIT, "digest"),
        (7, None, "0" * 40, "digest"),
        (7, None, None, "without a digest"),
    ],
)
def test_bytes_are_the_listed_ones(
    tmp_path: Path, size: int, sha256: str | None, git_sha1: str | None, why: str | None
) -> None:
    (tmp_path / "x").write_bytes(DATA)
    found = mismatch(
        tmp_path / "x", HubFile(path="x", size_bytes=size, sha256=sha256, git_sha1=git_sha1)
    )
    assert (why in found) if why and found else found is why


@pytest.mark.parametrize("path", ["a", "a/b.csv", ".gitattributes", "a..b"])
def test_names_that_stay_below(path: str) -> None:
    assert is_plain(path)


@pytest.mark.parametrize("path", ["", ".", "/a", "../a", "a/../b", "a//b", "a/", "a\\b", "a\0b"])
def test_names_that_do_not(path: str) -> None:
    assert not is_plain(path)
