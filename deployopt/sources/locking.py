"""A lock file: what each model and data name resolved to, and the sha256 of every file.

In: the origins of a build, or a lock file. Out: the file's bytes, or the record. A name that is
locked is fetched at the locked commit, and any file with other bytes is refused, each one named.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.bundle import Origin
from deployopt.core.codec import decode_json, encode_pretty
from deployopt.core.errors import IntegrityError, UsageError

VERSION: Final = 1
_COMMIT: Final = re.compile(r"@([0-9a-f]{40})$")


class LockedSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one name was: file name to sha256."""

    resolved: str
    files: dict[str, str]


class Lock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of a lock file, by the name that was asked for."""

    version: int = VERSION
    sources: dict[str, LockedSource] = {}


def lock_of(origins: Iterable[Origin]) -> Lock:
    """The lock that holds these origins."""
    return Lock(
        sources={
            origin.asked: LockedSource(
                resolved=origin.resolved,
                files={entry.path: entry.sha256 for entry in origin.files},
            )
            for origin in origins
        }
    )


def encode_lock(lock: Lock) -> bytes:
    """The bytes of a lock file."""
    return encode_pretty(lock)


def read_lock(path: Path) -> Lock:
    """Read a lock file.

    Raises:
        UsageError: there is none.
        IntegrityError: it is not a lock file of this version.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"The lock file {path} cannot be read: {error.strerror}.") from error
    lock = decode_json(data, Lock, where=str(path))
    if lock.version != VERSION:
        raise IntegrityError(f"{path} has version {lock.version}; this deployopt reads {VERSION}.")
    return lock


def locked_commit(name: str, lock: Lock | None) -> str | None:
    """The hub commit that a name is locked to, if it is.

    Raises:
        UsageError: there is a lock and the name is not in it.
    """
    if lock is None:
        return None
    source = lock.sources.get(name)
    if source is None:
        raise UsageError(
            f"{name!r} is not in the lock file, which has {', '.join(sorted(lock.sources))}. Build "
            "once without the lock and write it anew."
        )
    found = _COMMIT.search(source.resolved)
    return found[1] if found else None


def check_locked(origin: Origin, lock: Lock | None) -> None:
    """Refuse files that are not the locked ones, naming every one.

    Raises:
        IntegrityError: a file is missing, is new, or has other bytes.
    """
    if lock is None:
        return
    source = lock.sources.get(origin.asked)
    wanted: Mapping[str, str] = source.files if source is not None else {}
    found = {entry.path: entry.sha256 for entry in origin.files}
    drift = [f"{name} is missing" for name in sorted(set(wanted) - set(found))]
    drift += [f"{name} is new" for name in sorted(set(found) - set(wanted))]
    drift += [
        f"{name} has sha256 {found[name]}, locked is {wanted[name]}"
        for name in sorted(set(found) & set(wanted))
        if found[name] != wanted[name]
    ]
    if drift:
        raise IntegrityError(
            f"{origin.asked} is not what was locked: {'; '.join(drift)}. Nothing was built. If the "
            "change is wanted, build once without the lock and write it anew."
        )
