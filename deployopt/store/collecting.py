"""Garbage: staging of dead processes, objects that no key names, quarantine, idle lock files.

What a living process holds stays: everything is seized first, and a thing in use cannot be. No
age, time stamp or process id is looked at.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path

import msgspec

from deployopt.store.descriptors import descriptors
from deployopt.store.layout import Layout
from deployopt.store.locks import seize
from deployopt.store.pointers import read_pointer
from deployopt.store.records import read_record
from deployopt.store.staging import remove_tree, staged_folder, unique_name

# Each seized object costs a descriptor; the keys are read again for each batch.
_BATCH = 200


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed, or would be, in counts and bytes; `in_use` is what had to stay."""

    staging: int = 0
    objects: int = 0
    quarantined: int = 0
    keys: int = 0
    records: int = 0
    emulation: int = 0
    """Folders of emulated systems; they go with `everything` only."""
    emulation_bytes: int = 0
    """Of those that stay."""
    engines: int = 0
    """Folders of what TensorRT built of graphs here; they go with `everything` only."""
    engines_bytes: int = 0
    """Of those that stay."""
    freed_bytes: int = 0
    in_use: int = 0
    dry_run: bool = False


class _Sweep:
    """One collection: how much went, how much had to stay."""

    def __init__(self, *, dry_run: bool) -> None:
        self.dry_run = dry_run
        self.freed_bytes = 0
        self.in_use = 0

    def seized(self, paths: Iterable[Path], stack: ExitStack) -> list[Path]:
        """Those of `paths` that nobody uses, kept from use until the stack is left."""
        taken = []
        for path in paths:
            descriptor = seize(path)
            if descriptor is None:
                self.in_use += 1
            else:
                stack.callback(os.close, descriptor)
                taken.append(path)
        return taken

    def unused(self, paths: Iterable[Path]) -> int:
        """Remove what nobody uses; how many."""
        count = 0
        for path in paths:
            with ExitStack() as stack:
                count += self.remove(self.seized([path], stack))
        return count

    def remove(self, paths: Iterable[Path]) -> int:
        """Remove all; how many."""
        count = 0
        for path in paths:
            self.freed_bytes += size_on_disk(path)
            count += 1
            if not self.dry_run:
                remove_tree(path)
        return count


def collect(layout: Layout, *, everything: bool = False, dry_run: bool = False) -> Collected:
    """Remove garbage; with `everything`, keys and records first, so that no object is named."""
    sweep = _Sweep(dry_run=dry_run)
    keys = sweep.remove(_children(layout.keys)) if everything else 0
    records = 0
    if everything:
        for kind in _children(layout.records):
            records += sweep.remove(_children(kind))
    staging = sweep.unused(_children(layout.staging))
    objects = _collect_objects(layout, sweep, everything=everything)
    quarantined = sweep.remove(_children(layout.quarantine))
    systems = sweep.unused(_children(layout.emulation)) if everything else 0
    engines = sweep.unused(_children(layout.engines)) if everything else 0
    idle = _Sweep(dry_run=dry_run)
    idle.unused(_children(layout.locks))
    return Collected(
        staging=staging,
        objects=objects,
        quarantined=quarantined,
        keys=keys,
        records=records,
        emulation=systems,
        emulation_bytes=0 if everything else size_on_disk(layout.emulation),
        engines=engines,
        engines_bytes=0 if everything else size_on_disk(layout.engines),
        freed_bytes=sweep.freed_bytes,
        in_use=sweep.in_use,
        dry_run=dry_run,
    )


def size_on_disk(path: Path) -> int:
    """Bytes in a file, or in all files below a folder; what vanishes meanwhile counts nothing."""
    if path.is_symlink() or not path.is_dir():
        with suppress(FileNotFoundError):
            return path.lstat().st_size
        return 0
    return sum(size_on_disk(child) for child in _children(path))


def _collect_objects(layout: Layout, sweep: _Sweep, *, everything: bool) -> int:
    named = frozenset[str]() if everything and sweep.dry_run else _named(layout)
    unnamed = [path for path in _children(layout.objects) if path.name not in named]
    size = max(_BATCH, descriptors(len(unnamed)))
    waiting = iter(unnamed)
    count = 0
    while batch := list(islice(waiting, size)):
        with ExitStack() as stack:
            seized = sweep.seized(batch, stack)
            # A build may have named one between the first look and the seizing; not after.
            if not (everything and sweep.dry_run):
                named = _named(layout)
            garbage = [path for path in seized if path.name not in named]
            count += _remove_objects(layout, garbage, sweep)
    return count


def _remove_objects(layout: Layout, objects: list[Path], sweep: _Sweep) -> int:
    """Out of sight in one rename each, so that no half-removed object is ever seen."""
    if sweep.dry_run or not objects:
        return sweep.remove(objects)
    with staged_folder(layout.staging) as bin_folder:
        moved = [path.rename(bin_folder / unique_name()) for path in objects]
        return sweep.remove(moved)


def _named(layout: Layout) -> frozenset[str]:
    """The digests that keys point to; a damaged key names nothing, and is met on lookup."""
    return frozenset(_digests(layout.keys))


def _digests(keys: Path) -> Iterator[str]:
    for path in _children(keys):
        with suppress(ValueError):
            data = read_record(path)
            if data is not None:
                yield read_pointer(data).digest


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
