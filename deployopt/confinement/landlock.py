"""Landlock: the kernel keeps a process, and all that it starts, to the files that were named.

In: paths that may be read, and written. Out: the version of Landlock that is in force from then
on; 0 where the kernel has none, and nothing has changed. No package that is kept up binds these
three calls, whose numbers are the same on every architecture, so they are made through the C
library.
"""

import ctypes
import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CREATE: Final = 444
_ADD: Final = 445
_RESTRICT: Final = 446
_ASK_VERSION: Final = 1
_PATH_BENEATH: Final = 1

_EXECUTE: Final = 1 << 0
_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_REFER: Final = 1 << 13
_TRUNCATE: Final = 1 << 14
_DEVICE_CONTROL: Final = 1 << 15
_FIRST: Final = (1 << 13) - 1
"""Every right of version 1: to run, read, write, make and remove."""
_READ: Final = _READ_FILE | _READ_DIR
_ON_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _DEVICE_CONTROL
_TCP: Final = 0b11
_SCOPES: Final = 0b11
"""Abstract sockets and signals of processes outside."""
_REFER_SINCE: Final = 2
_TRUNCATE_SINCE: Final = 3
_TCP_SINCE: Final = 4
_DEVICES_SINCE: Final = 5
_SCOPES_SINCE: Final = 6


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def landlock_version() -> int:
    """What the running kernel offers; 0: nothing."""
    found = int(_libc().syscall(_CREATE, None, 0, _ASK_VERSION))
    return max(found, 0)


def keep_to_files(readable: Iterable[Path] | None, writable: Iterable[Path] = ()) -> int:
    """Bind this process for good; `readable` None leaves reading as it is. No program is started.

    Paths that are not there are left out. Nobody may connect a TCP socket either, and processes
    outside get no signal, where the kernel's version knows of it.
    """
    version = landlock_version()
    if not version:
        return 0
    rights = _rights(version)
    if readable is None:
        rights &= ~_READ
    asked = _Ruleset(
        rights,
        _TCP if version >= _TCP_SINCE else 0,
        _SCOPES if version >= _SCOPES_SINCE else 0,
    )
    ruleset = int(_libc().syscall(_CREATE, ctypes.byref(asked), _size(version), 0))
    if ruleset < 0:
        return 0
    try:
        for path in readable or ():
            _allow(ruleset, path, _READ & rights)
        for path in writable:
            _allow(ruleset, path, rights & ~_EXECUTE)
        return version if _libc().syscall(_RESTRICT, ruleset, 0) == 0 else 0
    finally:
        os.close(ruleset)


def _rights(version: int) -> int:
    rights = _FIRST
    rights |= _REFER if version >= _REFER_SINCE else 0
    rights |= _TRUNCATE if version >= _TRUNCATE_SINCE else 0
    return rights | (_DEVICE_CONTROL if version >= _DEVICES_SINCE else 0)


def _size(version: int) -> int:
    """Bytes of the request that this version reads."""
    words = 1 + (version >= _TCP_SINCE) + (version >= _SCOPES_SINCE)
    return 8 * words


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        granted = rights if path.is_dir() else rights & _ON_FILES
        rule = _Beneath(granted, descriptor)
        if granted and _libc().syscall(_ADD, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0):
            number = ctypes.get_errno()
            raise OSError(number or errno.EINVAL, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
