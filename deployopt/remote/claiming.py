"""Who may use a device now: a lock on the device itself, held as long as a connection lasts.

It runs there, with the standard library only. Connections share the device; one that holds it for
a fleet lets in only those that show its token. In: a token, empty for none. Out: a descriptor that
keeps the lock, or an error that says who has it. The kernel's lock ends with its process.
"""

import fcntl
import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

_FILE = "deployopt-device.lock"
_LENGTH = 64
_MOMENT_S = 0.3
"""In which who has just got the lock writes its token."""
_ANYONE = 0o666
"""Whoever may log in to the device may use it, one after the other."""


class InUseError(Exception):
    """Somebody else has the device."""


class TwiceError(Exception):
    """Who asks has it already, by another address."""


def lock_path() -> Path:
    """The same for all users of the device."""
    return Path(os.environ.get("TMPDIR") or "/tmp") / _FILE  # noqa: S108 -- all users meet there


def share_device(token: str) -> int:
    """Use the device beside others, or by the token of the call that holds it.

    Raises:
        InUseError: another call holds it.
    """
    descriptor = _open(lock_path())
    if _locked(descriptor, fcntl.LOCK_SH) or (token and _holder(descriptor) == _digest(token)):
        return descriptor
    os.close(descriptor)
    raise InUseError(
        "it is held by a call of `deployopt matrix --fleet`. Wait for that one to end, or name "
        "another device."
    )


def hold_device(token: str) -> int:
    """Have the device for those with this token.

    Raises:
        TwiceError: it has the token already.
        InUseError: another call uses or holds it.
    """
    descriptor = _open(lock_path())
    if not _locked(descriptor, fcntl.LOCK_EX):
        time.sleep(_MOMENT_S)
        holder = _holder(descriptor)
        os.close(descriptor)
        if holder == _digest(token):
            raise TwiceError("the fleet has it under another name, too. Take one of them out.")
        raise InUseError("another call of deployopt uses it. Wait for that one to end.")
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, _digest(token).encode("ascii"), 0)
    return descriptor


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(FileNotFoundError):
        return os.open(path, flags)
    with suppress(FileExistsError):
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, _ANYONE)
        os.fchmod(descriptor, _ANYONE)
        return descriptor
    return os.open(path, flags)


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    """What the last one wrote who held it."""
    return os.pread(descriptor, _LENGTH, 0).decode("ascii", "replace")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
