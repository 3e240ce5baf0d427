"""Which release of a bundle was accepted here last, so that an older one is not taken again.

In: a subject (whose bundle, under which key, on which device) and a number. Out: the last number.
The records are sealed and lie apart from the cache, so that `gc` never takes them. One that is
damaged is an error and no "nothing yet": who can damage it must not thereby be let in.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.codec import decode_json, encode_json
from deployopt.core.errors import IntegrityError, StorageError
from deployopt.store.faults import storage_errors
from deployopt.store.keys import cache_key
from deployopt.store.layout import default_root
from deployopt.store.locks import lock_file
from deployopt.store.records import read_record, write_record
from deployopt.store.staging import sweep
from deployopt.store.writing import make_folders

_FOLDER: Final = "releases"
_LOCK: Final = ".lock"
_WAIT_S: Final = 30.0


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Whose releases are counted: apart by bundle name, by key, and by what was done with them."""

    name: str
    key: str
    role: str = "accepted"
    """`accepted` by a device, or `signed` by whoever has the private key."""
    device: str = ""
    """The address of a device elsewhere; empty for this machine."""

    @property
    def digest(self) -> str:
        """A file's name."""
        return cache_key(
            {
                "release-of": self.name,
                "key": self.key,
                "role": self.role,
                "device": self.device,
            }
        )


class Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is remembered of the last release."""

    version: int = 1
    name: str
    release_seq: int
    bundle_digest: str


class Releases:
    """The releases that were accepted or signed here."""

    def __init__(self, root: Path | None = None) -> None:
        self.folder = (root or default_root()).absolute() / _FOLDER

    def last(self, subject: Subject) -> Kept | None:
        """The last one, None where there was none.

        Raises:
            IntegrityError: it was damaged; says how to go on.
        """
        path = self.folder / subject.digest
        with storage_errors("reading the accepted releases", self.folder):
            try:
                data = read_record(path)
            except ValueError as error:
                raise IntegrityError(
                    f"{path}, which says the last release of {subject.name} that was accepted "
                    f"here, is damaged ({error}), so that an older one would not be noticed. "
                    "Find out why; then remove that file, and the next release counts as the first."
                ) from error
        return None if data is None else decode_json(data, Kept, where=str(path))

    def require_writable(self) -> None:
        """Fail before an hour of measuring, not after; raises StorageError."""
        with self._alone():
            pass

    def keep(self, subject: Subject, kept: Kept, *, lower: bool = False) -> None:
        """Remember a release; a lower number only where `lower` says so.

        Raises:
            StorageError: it cannot be written.
        """
        with self._alone():
            last = self.last(subject)
            if last is None or lower or last.release_seq <= kept.release_seq:
                write_record(self.folder, self.folder / subject.digest, encode_json(kept))

    def take(self, subject: Subject, bundle_digest: str, *, above: int) -> int:
        """The next number, above this one and all that were taken; nobody gets it again.

        Raises:
            StorageError: it cannot be written down.
        """
        with self._alone():
            last = self.last(subject)
            number = max(above, 0 if last is None else last.release_seq) + 1
            kept = Kept(name=subject.name, release_seq=number, bundle_digest=bundle_digest)
            write_record(self.folder, self.folder / subject.digest, encode_json(kept))
            return number

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with storage_errors("keeping the accepted releases", self.folder):
            make_folders(self.folder)
            sweep(self.folder)
            with lock_file(self.folder / _LOCK, timeout_s=_WAIT_S) as alone:
                if not alone:
                    raise StorageError(
                        f"{self.folder} was in use by another deployopt for {_WAIT_S:g} s, or its "
                        "file system has no locks. Try again, or name a --store elsewhere."
                    )
                yield
