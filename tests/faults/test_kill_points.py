"""Stop at every single call that changes the disk: nothing half-made is ever seen.

Each commit and each publication is stopped at its N-th call for every N, by an exception that
nothing catches, by the process ending on the spot, and by a disk that fails once or for good.
"""

import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from deployopt.core.errors import DeployoptError
from deployopt.store import publishing
from deployopt.store.exchanging import exchange
from deployopt.store.keys import cache_key
from deployopt.store.objects import read_object
from deployopt.store.store import Store, StoredObject
from deployopt.store.verifying import verify_bundle

CALLS = ("chmod", "fchmod", "fsync", "mkdir", "rename", "replace", "rmdir", "unlink", "write")
KEY = cache_key({"step": "one"})
KILLED = 9
BUILDERS_OWN_MKDIR = os.mkdir
PublishTo = Callable[[Path, bytes], None]


class StopError(BaseException):
    """Like KeyboardInterrupt: nothing but clean-up may see it."""


class Fault:
    """Counts the calls that change the disk, and acts at the N-th."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, kind: str) -> None:
        self.count = 0
        self.at = at
        self.kind = kind
        for name in CALLS:
            patch.setattr(os, name, partial(self._call, getattr(os, name)))
        patch.setattr(publishing, "exchange", partial(self._call, exchange))

    def _call(self, real: Callable[..., object], *given: object, **named: object) -> object:
        self.count += 1
        if self.count == self.at or (self.kind == "full for good" and self.count > self.at > 0):
            self._act()
        return real(*given, **named)

    def _act(self) -> None:
        if self.kind == "exit":
            os._exit(KILLED)
        if self.kind == "stop":
            raise StopError
        code = errno.EIO if self.kind == "error once" else errno.ENOSPC
        raise OSError(code, os.strerror(code))


def run_with(at: int, kind: str, work: Callable[[], object]) -> int:
    """Do the work with a fault at call `at`; the number of calls, or 0 when it struck."""
    if kind == "exit":
        pid = os.fork()
        if pid == 0:
            with pytest.MonkeyPatch.context() as patch:
                Fault(patch, at, kind)
                work()
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in {0, KILLED}
        return int(code == 0)
    with pytest.MonkeyPatch.context() as patch:
        fault = Fault(patch, at, kind)
        try:
            work()
        except (StopError, DeployoptError):
            return 0
        return fault.count


def commit(root: Path, data: bytes) -> StoredObject:
    with Store(root) as store, store.stage() as folder:
        BUILDERS_OWN_MKDIR(folder / "deep")
        (folder / "model.onnx").write_bytes(data)
        (folder / "deep" / "labels.json").write_bytes(b"[]")
        made = store.commit(folder, KEY, meta=b"1")
        store.put_record("accuracy", KEY, data)
        return made


def check_store(root: Path, allowed: set[bytes | None]) -> None:
    with Store(root) as store:
        found = store.lookup(KEY)
        assert (found and (found.folder / "model.onnx").read_bytes()) in allowed
        assert store.read_record("accuracy", KEY) in allowed
        for path in root.glob("objects/*"):
            read_object(path, path.name, store.memo)
        assert store.notices == ()


KINDS = pytest.mark.parametrize("kind", ["stop", "exit", "error once", "full for good"])


@KINDS
def test_a_commit_stopped_anywhere(tmp_path: Path, kind: str) -> None:
    whole = commit(tmp_path / "whole", b"new").digest
    calls = run_with(0, "stop", lambda: commit(tmp_path / "counted", b"new"))
    assert calls > 25
    for at in range(1, calls + 1):
        root = tmp_path / f"{at}"
        run_with(at, kind, lambda root=root: commit(root, b"new"))  # type: ignore[misc]
        check_store(root, {None, b"new"})
        assert commit(root, b"new").digest == whole
        Store(root).gc()
        assert not list(root.glob("staging/*"))
        check_store(root, {b"new"})


@KINDS
def test_a_commit_over_an_older_one_stopped_anywhere(tmp_path: Path, kind: str) -> None:
    commit(tmp_path / "counted", b"old")
    calls = run_with(0, "stop", lambda: commit(tmp_path / "counted", b"new"))
    for at in range(1, calls + 1):
        root = tmp_path / f"{at}"
        commit(root, b"old")
        run_with(at, kind, lambda root=root: commit(root, b"new"))  # type: ignore[misc]
        check_store(root, {b"old", b"new"})
        Store(root).gc()
        assert not list(root.glob("staging/*"))
        check_store(root, {b"old", b"new"})


@KINDS
@pytest.mark.parametrize("older", [True, False])
def test_a_publication_stopped_anywhere(
    tmp_path: Path, publish_to: PublishTo, kind: str, *, older: bool
) -> None:
    def prepare(name: str) -> Path:
        destination = tmp_path / name / "bundle"
        if older:
            publish_to(destination, b"old")
        return destination

    publish_to(tmp_path / "sources" / "bundle", b"new")  # so that only publishing is counted
    counted = prepare("counted")
    calls = run_with(0, "stop", lambda: publish_to(counted, b"new"))
    assert calls > 15
    for at in range(1, calls + 1):
        bundle = prepare(str(at))
        run_with(at, kind, lambda bundle=bundle: publish_to(bundle, b"new"))  # type: ignore[misc]
        if bundle.exists() or older:
            verify_bundle(bundle)
            allowed = {b"old", b"new"} if older else {b"new"}
            assert (bundle / "model.onnx").read_bytes() in allowed
        publish_to(bundle, b"new")
        verify_bundle(bundle)
        assert (bundle / "model.onnx").read_bytes() == b"new"
        assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]
