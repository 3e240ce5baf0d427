"""Where a training run's state outlives its process: an object of the store, under the run's key.

A checkpoint counts once the store has all of it, every byte with its sha256; a damaged one is
quarantined by the store and counts as not there. The one before it is garbage from then on.
"""

from pathlib import Path
from typing import Final

from deployopt.store.store import Store
from deployopt.store.writing import write_new_file

_STATE: Final = "trainer_state.json"
_DONE: Final = "done"


class StoreCheckpoints:
    """The last checkpoint of one run."""

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key

    def save(self, folder: Path) -> None:
        """Move the files of `folder` into the store."""
        with self._store.stage() as staged:
            for path in sorted(folder.iterdir()):
                path.rename(staged / path.name)
            self._store.commit(staged, self._key)

    def load(self) -> Path | None:
        """The last one, or None where the run is new or was finished."""
        stored = self._store.lookup(self._key)
        if stored is None or not (stored.folder / _STATE).exists():
            return None
        return stored.folder

    def forget(self) -> None:
        """The run is finished: nothing is to be resumed."""
        with self._store.stage() as staged:
            write_new_file(staged / _DONE, b"")
            self._store.commit(staged, self._key)
