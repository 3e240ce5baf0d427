"""What a power cut may leave, worked out from the trace of a build (see shim.c).

A model of the least that a disk must keep: a file has the bytes of its last fsync, and none where
it was written to since; a folder has the names of its last fsync; every change of names since may
or may not be there. After every call: none of them, each rename by itself, all of them.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import msgspec

from deployopt.core.errors import IntegrityError
from deployopt.store.digests import DigestMemo
from deployopt.store.objects import read_object
from deployopt.store.pointers import read_pointer
from deployopt.store.records import read_record
from deployopt.store.staging import is_staging_name
from deployopt.store.verifying import verify_bundle
from tests.faults.builds import OUTPUT, STORE

ROOT: Final = 0
PASSING: Final = frozenset({"staging", "locks"})
Names = dict[str, int]
Bytes = Path | None
"""A file with what was kept of it; None: it is empty."""
Node = Bytes | tuple[tuple[str, "Node"], ...]
Tree = tuple[tuple[str, Node], ...]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One that changed the disk."""

    number: int
    what: str
    path: Path
    other: Path


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Names that change together: in this folder, this name, from then on this file or none."""

    entries: tuple[tuple[int, str, int | None], ...]
    renames: bool


def read_trace(folder: Path) -> list[Call]:
    """What the shim wrote there."""
    calls = []
    for line in (folder / "trace").read_text("utf-8").splitlines():
        number, what, path, other = line.split("\t")
        calls.append(Call(number=int(number), what=what, path=Path(path), other=Path(other)))
    return calls


class Disk:
    """The folder `root` as programs see it, and as a power cut would leave it."""

    def __init__(self, root: Path, kept: Path) -> None:
        self._root = root
        self._kept = kept
        self._live: dict[int, Names] = {ROOT: {}}
        self._durable: dict[int, Names] = {ROOT: {}}
        self._bytes: dict[int, Bytes] = {}
        self._pending: list[Change] = []
        self._last = ROOT

    @classmethod
    def holding(cls, before: Path, root: Path, kept: Path) -> Self:
        """One on which everything that `before` holds has been for long."""
        disk = cls(root, kept)
        for path in sorted(before.rglob("*")):
            at = root / path.relative_to(before)
            inode = disk._add(at, folder=path.is_dir())
            if path.is_file():
                disk._bytes[inode] = path
        disk._durable = {inode: dict(names) for inode, names in disk._live.items()}
        disk._pending = []
        return disk

    def apply(self, call: Call) -> None:
        """Follow one call."""
        path, what = call.path, call.what
        if what in {"create", "mkdir"}:
            self._add(path, folder=what == "mkdir")
        elif what in {"write", "empty"}:
            self._bytes[self._file(path)] = None
        elif what == "fsync":
            self._bytes[self._file(path)] = self._kept / str(call.number)
        elif what == "fsync-folder":
            self._sync(self._find(path))
        else:
            self._rename(call)

    def cuts(self) -> Iterator[Tree]:
        """What may be found after a power cut now, staging left out: nobody looks there."""
        yield self._seen(self._durable)
        for change in self._pending:
            if change.renames:
                yield self._seen(self._with([change]))
        yield self._seen(self._live)

    def uncertain(self) -> list[str]:
        """Names that programs see in the folder, and a power cut may take."""
        return sorted(_names(self._seen(self._live)) ^ _names(self._seen(self._durable)))

    def inode(self, path: Path) -> int:
        """What stands at `path` now."""
        return self._find(path)

    def lasting(self) -> set[int]:
        """All that stands in the folder now, staging left out."""
        return self._below(ROOT)

    def _below(self, folder: int) -> set[int]:
        found = {folder}
        for name, child in self._live[folder].items():
            if not _passes(name):
                found |= self._below(child) if child in self._live else {child}
        return found

    def _rename(self, call: Call) -> None:
        folder, name = self._find(call.path.parent), call.path.name
        if call.what == "remove":
            self._change([(folder, name, None)])
            return
        into, other, inode = self._find(call.other.parent), call.other.name, self._find(call.path)
        entries: list[tuple[int, str, int | None]] = [(into, other, inode)]
        if call.what == "exchange":
            entries.append((folder, name, self._find(call.other)))
        elif call.what == "rename":
            entries.append((folder, name, None))
        self._change(entries, renames=True)

    def _add(self, path: Path, *, folder: bool = False) -> int:
        self._last += 1
        if folder:
            self._live[self._last] = {}
            self._durable[self._last] = {}
        else:
            self._bytes[self._last] = None
        self._change([(self._find(path.parent), path.name, self._last)])
        return self._last

    def _file(self, path: Path) -> int:
        """It, added where the C library made it behind our back."""
        if path.name not in self._live[self._find(path.parent)]:
            return self._add(path)
        return self._find(path)

    def _find(self, path: Path) -> int:
        inode = ROOT
        for name in path.relative_to(self._root).parts:
            inode = self._live[inode][name]
        return inode

    def _change(self, entries: list[tuple[int, str, int | None]], *, renames: bool = False) -> None:
        change = Change(entries=tuple(entries), renames=renames)
        self._pending.append(change)
        _follow(self._live, change)

    def _sync(self, folder: int) -> None:
        self._durable[folder] = dict(self._live[folder])
        left = []
        for change in self._pending:
            entries = tuple(entry for entry in change.entries if entry[0] != folder)
            if entries:
                adds = any(inode is not None for _, _, inode in entries)
                renames = change.renames and adds
                left.append(Change(entries=entries, renames=renames))
        self._pending = left

    def _with(self, changes: list[Change]) -> dict[int, Names]:
        names = {inode: dict(found) for inode, found in self._durable.items()}
        for change in changes:
            _follow(names, change)
        return names

    def _seen(self, folders: dict[int, Names], inode: int = ROOT) -> Tree:
        return tuple(
            (name, self._seen(folders, child) if child in folders else self._bytes[child])
            for name, child in sorted(folders[inode].items())
            if not _passes(name)
        )


def _passes(name: str) -> bool:
    return name in PASSING or is_staging_name(name)


def _follow(folders: dict[int, Names], change: Change) -> None:
    for folder, name, inode in change.entries:
        if inode is None:
            folders[folder].pop(name, None)
        else:
            folders[folder][name] = inode


class Judge:
    """Looks at what a power cut left; the same part is laid out and looked at once."""

    def __init__(self, workdir: Path, allowed: frozenset[str | None]) -> None:
        self._workdir = workdir
        self._allowed = allowed
        self._known: dict[tuple[str, Node], str] = {}
        self._count = 0

    def problems(self, tree: Tree) -> list[str]:
        """What is corrupt, half there, or named and not there."""
        found = [self._bundle(tree)]
        store = _folder(tree, STORE)
        objects = dict(_folder(store, "objects"))
        found += [self._look(f"objects/{name}", node) for name, node in objects.items()]
        for kind, records in _folder(store, "records"):
            assert isinstance(records, tuple)
            found += [self._look(f"records/{kind}/{name}", node) for name, node in records]
        for name, node in _folder(store, "keys"):
            problem = self._look(f"keys/{name}", node)
            if problem.startswith("names "):
                problem = "" if problem[6:] in objects else f"{name} {problem}, not there"
            found.append(problem)
        return [problem for problem in found if problem]

    def lay_out(self, tree: Node, path: Path) -> None:
        """Make it real."""
        if not isinstance(tree, tuple):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"" if tree is None else tree.read_bytes())
            return
        path.mkdir(parents=True, exist_ok=True)
        for name, node in tree:
            self.lay_out(node, path / name)

    def _bundle(self, tree: Tree) -> str:
        if OUTPUT not in dict(tree):
            return "" if None in self._allowed else "the bundle is gone"
        return self._look(OUTPUT, dict(tree)[OUTPUT])

    def _look(self, name: str, node: Node) -> str:
        known = self._known.get((name, node))
        if known is None:
            self._count += 1
            place = self._workdir / str(self._count)
            self.lay_out(node, place / name)
            known = self._known[name, node] = self._said(name, place / name)
            shutil.rmtree(place)
        return known

    def _said(self, name: str, path: Path) -> str:
        try:
            if name == OUTPUT:
                digest = verify_bundle(path).bundle_digest
                return "" if digest in self._allowed else f"bundle {digest}"
            if name.startswith("objects/"):
                read_object(path, path.name, DigestMemo())
                return ""
            data = read_record(path)
        except (IntegrityError, ValueError, OSError) as error:
            return f"{name}: {error}"
        if name.startswith("keys/") and data is not None:
            return f"names {read_pointer(data).digest}"
        return ""


def _names(tree: Tree, above: str = "") -> set[str]:
    found = set()
    for name, node in tree:
        found.add(above + name)
        if isinstance(node, tuple):
            found |= _names(node, f"{above}{name}/")
    return found


def _folder(tree: Tree, name: str) -> Tree:
    found = dict(tree).get(name, ())
    assert isinstance(found, tuple)
    return found
