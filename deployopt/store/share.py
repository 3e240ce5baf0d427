"""What was made on one machine is found on the next: steps' results in a place both can reach.

In: the key of a step. Out: what another machine has put there, in this machine's store, every file
compared with its sha256 and looked at by whoever asked. Files are written before the record that
lists them, so that no record is ever there without its files. What is altered counts as not there,
and is written anew after it was made here. A place that is lost or cannot be written is said once,
and the work goes on without it.

A seal here says only that bytes are those that somebody wrote: who can write to the place decides
what others find in it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.bundle import FileEntry
from deployopt.core.codec import encode_json
from deployopt.core.errors import (
    IntegrityError,
    RefusedInputError,
    StorageError,
    UsageError,
)
from deployopt.core.text import safe_text
from deployopt.store.digests import entries_digest
from deployopt.store.layout import checked_key
from deployopt.store.records import seal, unseal
from deployopt.store.share_files import (
    AlteredError,
    GoneError,
    bring_files,
    listing_problems,
    require_files,
    send_files,
)
from deployopt.store.share_place import Place, ShareError, open_place
from deployopt.store.store import Store, StoredObject

RECORD_MAX: Final = 2**20
_VERSION: Final = 1
_MARK: Final = "deployopt-share.json"
_MARK_MAX: Final = 1024
KEYS: Final = "keys"
_ID: Final = 12

Check = Callable[[Path, bytes], None]
"""Given the files that came and the JSON beside the key; raises what refuses an input."""


class _Mark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """By which a place is known as a share."""

    share: int


class _Shared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record: the files of one result, and what was kept beside its key."""

    files: tuple[FileEntry, ...]
    meta: msgspec.Raw


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A result that a share has, as its record tells it."""

    digest: str
    meta: bytes


class Share:
    """A place that was reached once; used by one thread."""

    def __init__(self, place: Place, tell: Callable[[str], None], *, begun: bool = True) -> None:
        self.place = place
        self.begun = begun
        """Whether anybody has put something there yet."""
        self.said: list[str] = []
        """Each thing that went wrong with it."""
        self._tell = tell
        self._reads = self._writes = True
        self._mend: dict[str, frozenset[str]] = {}
        """Keys that were refused here, with the files at fault."""

    def find(self, key: str, store: Store, check: Check) -> StoredObject | None:
        """What was put there under the key, brought into the store; None when it is to be made.

        Raises:
            StorageError: the store's disk failed.
        """
        if not self._reads:
            return None
        try:
            record = _record(self.place, key)
            return None if record is None else self._bring(key, record, store, check)
        except GoneError as error:
            self._mend[key] = error.digests  # old files may be removed by anyone
        except (AlteredError, IntegrityError, RefusedInputError, UsageError) as error:
            digests = error.digests if isinstance(error, AlteredError) else frozenset[str]()
            self._mend[key] = digests
            self._say(
                f"What {self.place.shown} has under {key[:_ID]} was refused, and is made here: "
                f"{error}"
            )
        except ShareError as error:
            self._lose(error)
        return None

    def listed(self, key: str) -> Listed | None:
        """What `find` would bring, if its files are what they should be; nothing is fetched."""
        if not self._reads:
            return None
        try:
            record = _record(self.place, key)
            if record is None:
                return None
            require_files(self.place, record.files)
        except AlteredError:
            return None
        except ShareError as error:
            self._lose(error)
            return None
        return Listed(digest=entries_digest(record.files), meta=bytes(record.meta))

    def offer(self, stored: StoredObject) -> None:
        """Put a result there, unless there is one under its key."""
        if not self._writes:
            return
        name = _name(stored.key)
        try:
            if stored.key not in self._mend and self.place.size(name) is not None:
                return
            if listing_problems(stored.files):
                return  # nobody would take it
            again = self._mend.get(stored.key, frozenset())
            send_files(self.place, stored.folder, stored.files, again)
            record = _Shared(files=stored.files, meta=msgspec.Raw(stored.meta))
            self.place.put(name, seal(_label(stored.key), encode_json(record)))
            self._mend.pop(stored.key, None)
        except ShareError as error:
            self._writes = False
            self._say(f"Nothing more is put into the share. Failed {error}")

    def _bring(self, key: str, record: _Shared, store: Store, check: Check) -> StoredObject:
        meta = bytes(record.meta)
        with store.stage() as folder:
            try:
                bring_files(self.place, record.files, folder)
            except OSError as error:
                raise StorageError(f"Failed bringing a file into {folder}: {error}") from error
            check(folder, meta)
            return store.commit(folder, key, meta=meta)

    def _lose(self, error: ShareError) -> None:
        self._reads = self._writes = False
        self._say(f"The share was lost; this goes on without it. Failed {error}")

    def _say(self, text: str) -> None:
        text = safe_text(text, 1000)
        self.said.append(text)
        self._tell(text)


def open_share(url: str, tell: Callable[[str], None], *, begin: bool = True) -> Share:
    """The share at the URL, reached, and with `begin` begun where nothing is yet.

    Raises:
        UsageError: it is no place that can be shared, or is another version's.
        MissingExtraError: what reaches it is not installed.
        StorageError: it cannot be reached, read, or begun.
    """
    place = open_place(url)
    try:
        data = place.read(_MARK, _MARK_MAX)
        if data is None and not begin:
            return Share(place, tell, begun=False)
        if data is None:
            place.put(_MARK, encode_json(_Mark(share=_VERSION)))
            data = place.read(_MARK, _MARK_MAX)
        mark = msgspec.json.decode(data or b"", type=_Mark)
    except ShareError as error:
        raise StorageError(
            f"The share at {place.shown} cannot be used: failed {error} Check that it is there, "
            "and that it lets this machine in; or leave out --share."
        ) from error
    except (ValueError, msgspec.MsgspecError) as error:
        raise UsageError(
            f"--share {place.shown}: {_MARK} there is not what deployopt writes ({error}). Name a "
            "folder of its own for the share."
        ) from error
    if mark.share != _VERSION:
        raise UsageError(
            f"--share {place.shown} is a share of version {mark.share}, and this deployopt knows "
            f"version {_VERSION}. Name another folder."
        )
    return Share(place, tell)


def listed_files(place: Place, key: str) -> frozenset[str]:
    """The digests of the files that a record lists; none of one that nobody could use."""
    try:
        record = _record(place, key)
    except AlteredError:
        return frozenset()
    return frozenset() if record is None else frozenset(entry.sha256 for entry in record.files)


def _record(place: Place, key: str) -> _Shared | None:
    try:
        data = place.read(_name(key), RECORD_MAX)
        if data is None:
            return None
        return msgspec.json.decode(unseal(_label(key), data), type=_Shared)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise AlteredError([f"its record cannot be used: {error}"]) from error


def _name(key: str) -> str:
    return f"{KEYS}/{checked_key(key)}"


def _label(key: str) -> str:
    return f"share/{key}"
