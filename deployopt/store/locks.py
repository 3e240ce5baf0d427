"""Kernel locks on files and folders: held by whoever uses a thing, gone when that process dies.

A held lock is how garbage collection knows that a staging folder or an object is in use. The
kernel drops it at any death, so no process id, boot id or time stamp has to be judged, and a
reused process id cannot mislead. On a file system without `flock`, holding goes on unlocked and
seizing always fails: nothing in use can be removed, at the price of removing nothing.
"""

import errno
import fcntl
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_UNSUPPORTED = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
_BUSY = frozenset({errno.EWOULDBLOCK, errno.EACCES})
_POLL_S = 0.05
_TELL_S: Final = 1.0
_TAKEN: Final = -1
_UNLOCKABLE: Final = -2


def _unheard() -> None:
    """No one is told of waiting."""


def hold(path: Path) -> int | None:
    """Share `path` with other users; the descriptor to close, or None when nothing is there.

    Waits only while someone removes it, and then finds it gone.
    """
    descriptor = _open(path, 0)
    if descriptor is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            os.close(descriptor)
            raise
    except BaseException:
        os.close(descriptor)
        raise
    return _if_still_there(path, descriptor)


def seize(path: Path) -> int | None:
    """Take `path` for oneself, without waiting; None when it is in use or gone."""
    return _take(path)


def is_same(path: Path, descriptor: int) -> bool:
    """Whether what stands at `path` now is what the descriptor was opened on."""
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    held = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)


@contextmanager
def lock_file(
    path: Path, *, timeout_s: float | None, on_wait: Callable[[], None] = _unheard
) -> Iterator[bool]:
    """Hold the lock file at `path` alone, waiting at most `timeout_s`; yields whether it is held.

    None waits as long as somebody holds it: a lock ends with its process, so that nobody waits for
    the dead. Where files cannot be locked nobody waits. `on_wait` is called once a second while it
    waits. The lock only saves work: whoever goes on without it must still be correct.
    """
    told = -math.inf
    deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
    while (descriptor := _attempt(path)) == _TAKEN and (now := time.monotonic()) < deadline:
        if now - told >= _TELL_S:
            told = now
            on_wait()
        time.sleep(_POLL_S)
    try:
        yield descriptor >= 0
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _attempt(path: Path) -> int:
    """A descriptor, or that it is taken, or that nobody can lock it."""
    descriptor = _open(path, os.O_CREAT)
    if descriptor is None:
        return _UNLOCKABLE  # its folder was removed
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, OSError) and error.errno in _BUSY | _UNSUPPORTED:
            return _TAKEN if error.errno in _BUSY else _UNLOCKABLE
        raise
    held = _if_still_there(path, descriptor)
    return _TAKEN if held is None else held


def _take(path: Path) -> int | None:
    descriptor = _open(path, 0)
    if descriptor is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, OSError) and error.errno in _BUSY | _UNSUPPORTED:
            return None
        raise
    return _if_still_there(path, descriptor)


def _open(path: Path, flags: int) -> int | None:
    with suppress(FileNotFoundError):
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o644)
    return None


def _if_still_there(path: Path, descriptor: int) -> int | None:
    """Between opening and locking, someone may have removed or replaced it."""
    if is_same(path, descriptor):
        return descriptor
    os.close(descriptor)
    return None
