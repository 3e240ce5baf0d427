"""Cut the power at any moment: what was promised is there, and nothing half-written is.

A model of the least that a disk must keep: a file has the bytes of its last fsync (none, if there
was none), a folder the names of its last fsync, and every rename since may or may not have reached
the disk, each by itself. Every state that this allows, after every fsync and rename, is laid out
in a folder and read by a fresh store.
"""

import os
import stat
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from deployopt.core.errors import DeployoptError
from deployopt.store import publishing
from deployopt.store.exchanging import exchange
from deployopt.store.keys import cache_key
from deployopt.store.store import Store
from deployopt.store.verifying import verify_bundle

KEY = cache_key({"step": "one"})
PublishTo = Callable[[Path, bytes], None]
Names = dict[str, int]
Rename = list[tuple[int, str, int]]  # in this folder, this name now stands for this inode
Look = Callable[[Path], object]


class Disk:
    """What a power cut leaves of `root`, followed through every call that matters."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch, look: Look) -> None:
        self.root = root.stat().st_ino
        self.where = root
        self.look = look
        self.files: dict[int, bytes] = {}
        self.folders: dict[int, Names] = {}
        self.is_folder: dict[int, bool] = {self.root: True}
        self.pending: list[Rename] = []
        self.lost_fsync = 0  # the N-th fsync does nothing; 0: all work
        self.fsyncs = 0
        self.seen: list[object] = []
        self.states = 0
        self.cutting = False
        patch.setattr(os, "fsync", self._fsync)
        for name in ("rename", "replace"):
            patch.setattr(os, name, self._renaming(getattr(os, name)))
        for name in ("open", "mkdir"):
            patch.setattr(os, name, self._making(getattr(os, name)))
        patch.setattr(publishing, "exchange", self._exchange)

    def after(self, work: Callable[[], object]) -> list[object]:
        """Do the work; what may be found after a power cut at any moment in it."""
        self.seen = []
        work()
        return self.seen

    def now(self) -> list[object]:
        """What may be found after a power cut at this moment."""
        self.seen = []
        self._cut()
        return self.seen

    def _fsync(self, descriptor: int) -> None:
        if self.cutting:
            return
        self.fsyncs += 1
        if self.fsyncs == self.lost_fsync:
            return
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            self.files[status.st_ino] = path.read_bytes()
            self.is_folder[status.st_ino] = False
        else:
            self._fsync_folder(status.st_ino, path)
        self._cut()

    def _fsync_folder(self, inode: int, path: Path) -> None:
        self.folders[inode] = {}
        for child in path.iterdir():
            status = child.lstat()
            self.folders[inode][child.name] = status.st_ino
            self.is_folder[status.st_ino] = stat.S_ISDIR(status.st_mode)
        self.pending = [entry for entry in self.pending if all(at != inode for at, _, _ in entry)]

    def _renaming(self, real: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
        def rename(source: Path, target: Path) -> None:
            if self.cutting:
                real(source, target)
                return
            self._note([(source, target)])
            real(source, target)
            self._cut()

        return rename

    def _exchange(self, first: Path, second: Path) -> bool:
        self._note([(first, second), (second, first)])
        done = exchange(first, second)
        self._cut()
        return done

    def _note(self, moves: list[tuple[Path, Path]]) -> None:
        noted = []
        for source, target in moves:
            inode = source.stat().st_ino
            self.is_folder[inode] = source.is_dir()
            noted.append((target.parent.stat().st_ino, target.name, inode))
        self.pending.append(noted)

    def _making(self, real: Callable[..., int | None]) -> Callable[..., int | None]:
        """A number that a removed file had is a new file's now: nothing of that one is on disk."""

        def make(path: Path, *given: int, **named: int | None) -> int | None:
            new = isinstance(path, Path) and not self.cutting and not os.path.lexists(path)
            result = real(path, *given, **named)
            if new:
                self.files.pop(path.lstat().st_ino, None)
                self.folders.pop(path.lstat().st_ino, None)
            return result

        return make

    def _cut(self) -> None:
        place = self.where.parent / f"{self.where.name}-cut"
        self.cutting = True
        place.mkdir(exist_ok=True)
        for count in range(len(self.pending) + 1):
            for chosen in combinations(self.pending, count):
                folders = {inode: dict(names) for inode, names in self.folders.items()}
                for at, name, inode in (move for rename in chosen for move in rename):
                    folders.setdefault(at, {})[name] = inode
                self.states += 1
                self._lay_out(self.root, place / str(self.states), folders)
                self.seen.append(self.look(place / str(self.states)))
        self.cutting = False

    def _lay_out(self, inode: int, path: Path, folders: dict[int, Names]) -> None:
        if not self.is_folder[inode]:
            path.write_bytes(self.files.get(inode, b""))
            return
        path.mkdir()
        for name, child in folders.get(inode, {}).items():
            self._lay_out(child, path / name, folders)


def commit(root: Path, data: bytes) -> None:
    with Store(root) as store, store.stage() as folder:
        (folder / "deep").mkdir()
        (folder / "model.onnx").write_bytes(data)
        (folder / "deep" / "labels.json").write_bytes(data)
        store.commit(folder, KEY)


def look_in_store(root: Path) -> object:
    """The model, None, or what the store complains of."""
    with Store(root) as store:
        found = store.lookup(KEY)
        if store.notices:
            return store.notices[0].why
        return found and (found.folder / "model.onnx").read_bytes()


def look_at_bundle(root: Path) -> object:
    bundle = root / "bundle"
    if not bundle.exists():
        return None
    try:
        verify_bundle(bundle)
    except DeployoptError as error:
        return str(error)
    return (bundle / "model.onnx").read_bytes()


def violations_of_store(root: Path, lost_fsync: int) -> tuple[list[object], int, int]:
    """What breaks the promise while one object is stored, then another under the same key."""
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(root, patch, look_in_store)
        disk.lost_fsync = lost_fsync
        wrong = _others(disk.after(lambda: commit(root, b"1")), {None, b"1"})
        wrong += _others(disk.now(), {b"1"})
        wrong += _others(disk.after(lambda: commit(root, b"2")), {b"1", b"2"})
        wrong += _others(disk.now(), {b"2"})
    return wrong, disk.fsyncs, disk.states


def violations_of_bundle(
    root: Path, publish_to: PublishTo, lost_fsync: int
) -> tuple[list[object], int, int]:
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(root, patch, look_at_bundle)
        disk.lost_fsync = lost_fsync
        wrong = _others(disk.after(lambda: publish_to(root / "bundle", b"1")), {None, b"1"})
        wrong += _others(disk.now(), {b"1"})
        wrong += _others(disk.after(lambda: publish_to(root / "bundle", b"2")), {b"1", b"2"})
        wrong += _others(disk.now(), {b"2"})
    return wrong, disk.fsyncs, disk.states


def _others(seen: list[object], allowed: set[bytes | None]) -> list[object]:
    return [found for found in seen if found not in allowed]


def test_a_store_after_a_power_cut_at_any_moment(tmp_path: Path) -> None:
    wrong, fsyncs, states = violations_of_store(tmp_path / "store", 0)
    assert wrong == []
    assert fsyncs > 12
    assert states > 25


def test_a_bundle_after_a_power_cut_at_any_moment(tmp_path: Path, publish_to: PublishTo) -> None:
    wrong, fsyncs, states = violations_of_bundle(tmp_path / "out", publish_to, 0)
    assert wrong == []
    assert fsyncs > 10
    assert states > 15


def test_no_fsync_of_the_store_can_be_left_out(tmp_path: Path) -> None:
    _, fsyncs, _ = violations_of_store(tmp_path / "all", 0)
    needless = [
        lost
        for lost in range(1, fsyncs + 1)
        if not violations_of_store(tmp_path / f"without-{lost}", lost)[0]
    ]
    assert needless == []


def test_no_fsync_of_a_bundle_can_be_left_out(tmp_path: Path, publish_to: PublishTo) -> None:
    _, fsyncs, _ = violations_of_bundle(tmp_path / "all", publish_to, 0)
    needless = [
        lost
        for lost in range(1, fsyncs + 1)
        if not violations_of_bundle(tmp_path / f"without-{lost}", publish_to, lost)[0]
    ]
    assert needless == []
