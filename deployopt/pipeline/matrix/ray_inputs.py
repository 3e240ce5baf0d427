"""Models and data that a cell names by a path go to a node that does not have them there.

In: on the driver a cell; on the node what it names and the files of each. Out: on the driver the
files, in the share; on the node where each path lies: as it says, where the same bytes are there,
else in the node's store, fetched once and compared by digest. What may not travel (names that are
not plain, programs, pickles) has to be on the node already.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deployopt.core.bundle import FileEntry
from deployopt.core.errors import IntegrityError, MissingExtraError, RefusedInputError, StorageError
from deployopt.core.matrix import CellRequest
from deployopt.pipeline.matrix.digests import Inputs, input_files, named_paths
from deployopt.store.digests import file_entry
from deployopt.store.faults import storage_errors
from deployopt.store.keys import JsonValue, cache_key
from deployopt.store.share_files import AlteredError, bring_files, listing_problems, send_files
from deployopt.store.share_place import Place, ShareError, open_place
from deployopt.store.store import Store

_VERSION: Final = 1
Listed = dict[str, tuple[FileEntry, ...]]
"""By path: the files that belong to it, relative to the folder that holds it."""


class Sender:
    """The driver's side; each path is sent once a call."""

    def __init__(self, share: str | None) -> None:
        self._place = None if share is None else open_place(share)
        self._inputs = Inputs()
        self._sent: Listed = {}
        self._told: set[str] = set()

    def is_ready(self, cell: CellRequest) -> bool:
        """Whether all that it names was read, and sent where it is to be: nothing takes long."""
        return all(path in self._told for path in named_paths(cell))

    def digests(self, cell: CellRequest) -> dict[str, str]:
        """Of what it names by path."""
        return self._inputs.of(cell)

    def sent(self, cell: CellRequest) -> Listed:
        """What of it is in the share now; nothing without one.

        Raises:
            StorageError: it cannot be written.
        """
        paths = self._inputs.of(cell)
        if self._place is None:
            self._told.update(named_paths(cell))
            return {}
        for path in paths:
            if path in self._sent:
                continue
            try:
                self._sent[path] = _send(self._place, Path(path))
            except ShareError as error:
                raise StorageError(
                    f"{path} could not be put into the share: failed {error} What was finished is "
                    "in the log, and the same command goes on after it."
                ) from error
        self._told.update(named_paths(cell))
        return {path: self._sent[path] for path in paths if self._sent[path]}


def _send(place: Place, path: Path) -> tuple[FileEntry, ...]:
    """Its files, once they are there; none where they may not travel."""
    try:
        entries = tuple(file_entry(path.parent / name, name) for name in input_files(path))
    except (MissingExtraError, OSError, RefusedInputError, StorageError):
        return ()  # whoever builds it says what is wrong
    if listing_problems(entries):
        return ()
    send_files(place, path.parent, entries)
    return entries


def bring_inputs(
    share: str, found: Mapping[str, str], wanted: Mapping[str, str], listed: Listed, store: Store
) -> dict[str, str]:
    """Where the paths lie here whose digest is not the wanted one, or that are not here at all.

    Raises:
        IntegrityError: one is not here, and not in the share as it was listed.
        StorageError: the share or the disk failed.
    """
    places = {}
    for path, digest in wanted.items():
        if found.get(path) == digest:
            continue
        if path not in listed:
            what = "is not there" if path not in found else "holds something else there than here"
            raise IntegrityError(f"{path} {what}, and it cannot go through the share")
        places[path] = str(_brought(share, listed[path], store) / Path(path).name)
    return places


def _brought(share: str, entries: tuple[FileEntry, ...], store: Store) -> Path:
    files: list[JsonValue] = [[entry.path, entry.sha256] for entry in entries]
    key = cache_key({"input": _VERSION, "files": files})
    with store.building(key):
        stored = store.lookup(key)
        if stored is None:
            with store.stage() as folder, storage_errors("bringing a model or data", folder):
                try:
                    bring_files(open_place(share), entries, folder)
                except AlteredError as error:
                    raise IntegrityError(f"What the driver put into the share: {error}") from error
                stored = store.commit(folder, key)
    return stored.folder
