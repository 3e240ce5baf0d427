"""A file as the hub lists it, and whether bytes are that file."""

import hashlib
from pathlib import Path, PurePosixPath

import msgspec

_CHUNK: int = 2**20


class HubFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Large files are listed by sha256, small ones by git's digest of a blob."""

    path: str
    size_bytes: int
    sha256: str | None
    git_sha1: str | None


def is_plain(path: str) -> bool:
    """Whether a listed name stays below the folder it is put into."""
    pure = PurePosixPath(path)
    odd = "\\" in path or "\0" in path or ".." in pure.parts
    return not odd and str(pure) == path and not pure.is_absolute() and path != "."


def mismatch(path: Path, listed: HubFile) -> str | None:
    """What is wrong with the fetched file, or None."""
    size = path.stat().st_size
    if size != listed.size_bytes:
        return f"{listed.path} has {size} bytes, listed are {listed.size_bytes}"
    if listed.sha256 is not None:
        found, wanted = _digest(path, hashlib.sha256()), listed.sha256
    elif listed.git_sha1 is not None:
        # Git's own name for the content: no secret is kept by it, the sha256 is recorded besides.
        blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        found, wanted = _digest(path, blob), listed.git_sha1
    else:
        return f"{listed.path} is listed without a digest"
    return None if found == wanted else f"{listed.path} has the digest {found}, listed is {wanted}"


def _digest(path: Path, digest: "hashlib._Hash") -> str:
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
