"""Where things lie in the store's folder, and where that folder is."""

import os
import re
from pathlib import Path
from typing import Final

import msgspec

HOME: Final = "DEPLOYOPT_HOME"
_KEY = re.compile(r"[0-9a-f]{64}")
_KIND = re.compile(r"[a-z0-9._-]{1,64}")


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The sub-folders of a store, all on one file system."""

    root: Path

    @property
    def objects(self) -> Path:
        """`objects/<digest>/content/…` and `objects/<digest>/manifest.json`."""
        return self.root / "objects"

    @property
    def keys(self) -> Path:
        """`keys/<key>`: a sealed pointer to an object."""
        return self.root / "keys"

    @property
    def records(self) -> Path:
        """`records/<kind>/<key>`: a sealed small result."""
        return self.root / "records"

    @property
    def staging(self) -> Path:
        """What is being written."""
        return self.root / "staging"

    @property
    def quarantine(self) -> Path:
        """What did not have the bytes that were recorded."""
        return self.root / "quarantine"

    @property
    def locks(self) -> Path:
        """`locks/<key>`: held while somebody builds, to save others the work."""
        return self.root / "locks"

    @property
    def leases(self) -> Path:
        """Who works on a machine beside others, and who has it alone; not there before that."""
        return self.root / "leases"

    @property
    def emulation(self) -> Path:
        """What `emulate` fetched and made; not there before its first use."""
        return self.root / "emulation"

    @property
    def engines(self) -> Path:
        """What TensorRT built of graphs on this machine; not there before its first use."""
        return self.root / "engines"

    def folders(self) -> tuple[Path, ...]:
        """All that a store begins with."""
        return (
            self.objects,
            self.keys,
            self.records,
            self.staging,
            self.quarantine,
            self.locks,
        )


def default_root() -> Path:
    """`$DEPLOYOPT_HOME/store-1`, else in the user's cache folder; 1 is the layout's version."""
    home = os.environ.get(HOME)
    if home:
        return Path(home).expanduser().absolute() / "store-1"
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser().absolute() / "deployopt" / "store-1"


def checked_key(key: str) -> str:
    """The key, if it is one; ValueError otherwise, so that no key can name another folder."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a cache key: {key!r}")
    return key


def checked_kind(kind: str) -> str:
    """The kind of a record, if it can be a folder's name."""
    # A record of kind "keys" would carry the seal of a pointer.
    if not _KIND.fullmatch(kind) or kind.startswith(".") or kind == "keys":
        raise ValueError(f"not a kind of record: {kind!r}")
    return kind
