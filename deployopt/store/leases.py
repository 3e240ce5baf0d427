"""A place that many may use together, or one alone: who measures must have the machine to itself.

In: a folder and the place's name. Out: a lease, held shared or alone by kernel locks, which a
process loses at any death. Whoever waits to be alone keeps newcomers out, so that it comes to its
turn. Refuses a file system without locks: a measurement beside others would not be noticed.
"""

import errno
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from deployopt.core.errors import StorageError
from deployopt.store.faults import storage_errors
from deployopt.store.file_systems import is_of_several_machines
from deployopt.store.layout import Layout
from deployopt.store.writing import make_folders

THIS_MACHINE: Final = "this-machine"
_OWN: Final = Path("/tmp")  # noqa: S108 -- one place for all of this machine, whatever TMPDIR says
_NAME: Final = re.compile(r"[a-z0-9._-]{1,80}")
_UNSUPPORTED: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
_BUSY: Final = frozenset({errno.EWOULDBLOCK, errno.EACCES})


class Held(Enum):
    """How a lease is held."""

    NOT = "not"
    SHARED = "shared"
    ALONE = "alone"


def leases_in(store: Path, given: str | None = None) -> Path:
    """The folder of a store's leases on this machine, where all meet who use the store here.

    It is the one that is given, or lies in the store, unless other machines may use that as well: a
    lease says who works on one machine, and must not wait for another's, nor be lost with a server.
    """
    if given is not None:
        return Path(given)
    if not is_of_several_machines(store):
        return Layout(root=store).leases
    digest = hashlib.sha256(str(store).encode()).hexdigest()[:16]
    return _own_folder() / f"leases-{digest}"


def leases_of_nodes() -> Path:
    """Where all cells meet that nodes of clusters run on this machine, each with its own store."""
    return _own_folder() / "leases-of-nodes"


def _own_folder() -> Path:
    return _OWN / f"deployopt-{os.getuid()}"


def _unheard() -> None:
    """No one is told of waiting."""


class Lease:
    """One user's lease of the place `name`; used by one thread.

    Two files: `NAME.use` is what is held; through `NAME.turn` everyone passes to get it, and
    somebody who waits to be alone stands in it.
    """

    def __init__(self, folder: Path, name: str = THIS_MACHINE) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not the name of a place: {name!r}")
        self._use = folder / f"{name}.use"
        self._turn = folder / f"{name}.turn"
        self._descriptor: int | None = None
        self._standing: int | None = None
        self.held = Held.NOT
        self.waited_s = 0.0
        """For others, in all."""
        self.on_wait: Callable[[], None] = _unheard
        """Called before it waits."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.drop()

    def share(self) -> None:
        """Hold it together with others; let whoever waits to be alone go first."""
        self.drop()
        turn = self._locked(self._turn, fcntl.LOCK_SH)
        try:
            self._descriptor = self._locked(self._use, fcntl.LOCK_SH)
        finally:
            os.close(turn)
        self.held = Held.SHARED

    def try_share(self) -> bool:
        """The same without waiting; whether it worked."""
        self.drop()
        turn = self._taken(self._turn, fcntl.LOCK_SH)
        if turn is None:
            return False
        try:
            self._descriptor = self._taken(self._use, fcntl.LOCK_SH)
        finally:
            os.close(turn)
        if self._descriptor is not None:
            self.held = Held.SHARED
        return self._descriptor is not None

    def alone(self) -> None:
        """Hold it with nobody else, as soon as all have let go."""
        if self.held is Held.ALONE:
            return
        self.drop()
        self._standing = self._locked(self._turn, fcntl.LOCK_EX)
        self._descriptor = self._locked(self._use, fcntl.LOCK_EX)
        self.held = Held.ALONE

    def try_alone(self) -> bool:
        """The same without waiting; whether it worked."""
        self.drop()
        self._standing = self._taken(self._turn, fcntl.LOCK_EX)
        if self._standing is not None:
            self._descriptor = self._taken(self._use, fcntl.LOCK_EX)
        if self._descriptor is None:
            self.drop()
            return False
        self.held = Held.ALONE
        return True

    def drop(self) -> None:
        """Let go."""
        # The place before the turn: nobody passes the turn while the place is held.
        for descriptor in (self._descriptor, self._standing):
            if descriptor is not None:
                os.close(descriptor)
        self._descriptor = self._standing = None
        self.held = Held.NOT

    def hand_over(self) -> int:
        """The descriptor of a lease that is held shared, for a child that `adopt`s it."""
        if self.held is not Held.SHARED or self._descriptor is None:
            raise ValueError("only a lease that is held shared is handed over")
        return self._descriptor

    def adopt(self, descriptor: int) -> None:
        """Hold it shared by what a parent handed over: there is no moment without it."""
        self.drop()
        os.set_inheritable(descriptor, False)  # noqa: FBT003 -- it takes no name
        self._descriptor = descriptor
        self.held = Held.SHARED

    def _locked(self, path: Path, how: int) -> int:
        descriptor = self._taken(path, how)
        if descriptor is not None:
            return descriptor
        self.on_wait()
        began = time.perf_counter_ns()
        descriptor = _open(path)
        try:
            with storage_errors("waiting for a lock", path):
                fcntl.flock(descriptor, how)
        except BaseException:
            os.close(descriptor)
            raise
        self.waited_s += (time.perf_counter_ns() - began) / 1e9
        return descriptor

    def _taken(self, path: Path, how: int) -> int | None:
        """The lock without waiting; None where it is taken."""
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in _BUSY:
                return None
            if error.errno in _UNSUPPORTED:
                raise StorageError(
                    f"{path.parent} is on a file system without locks, so that nobody can have the "
                    "machine alone to measure. Put it on a local disk; DEPLOYOPT_HOME moves the "
                    "store."
                ) from error
            raise
        return descriptor


def _open(path: Path) -> int:
    with storage_errors("opening a lock", path):
        make_folders(path.parent)
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
