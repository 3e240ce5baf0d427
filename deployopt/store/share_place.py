"""A folder that several machines reach by a URL: read in parts, written whole.

In: a URL, and names below it. Out: bytes. Whatever the file system under it raises becomes one
ShareError with a sentence. Nothing of what lies there is believed: sizes are asked for before
anything is read, no more than that is read, and whoever reads compares digests.
"""

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from deployopt.core.errors import MissingExtraError, StorageError, UsageError
from deployopt.core.text import safe_text

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

PART_BYTES: Final = 8 * 2**20
INCOMING: Final = "incoming"
_LOCAL: Final = frozenset({"file", "local"})
_STORES: Final = frozenset({"abfs", "adl", "az", "gcs", "gs", "oci", "oss", "s3", "s3a"})
"""Object stores: a name exists when all of its bytes are there, and there are no folders."""
_REFUSED: Final = frozenset({"data", "reference", "tar", "zip", "filecache", "simplecache"})
_PROTOCOL: Final = re.compile(r"(?P<name>[a-z][a-z0-9+.-]*)://.*", re.DOTALL)
_S3: Final = {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 2}}
_SHOWN: Final = 300


class ShareError(StorageError):
    """The share could not be read or written."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A file that lies there."""

    name: str
    """Within its folder."""
    size_bytes: int
    modified_s: float
    """When it was written, in seconds since 1970, by the clock of whoever keeps it."""


class Place:
    """What lies under one URL."""

    def __init__(self, system: "AbstractFileSystem", root: str, protocol: str, shown: str) -> None:
        self._system = system
        self._root = root.rstrip("/")
        self._protocol = protocol
        self.shown = shown
        """The URL for a person."""

    def size(self, name: str) -> int | None:
        """In bytes; None where there is no regular file of this name."""
        with self._said("looking at", name):
            try:
                found = self._system.info(self._path(name))
            except (FileNotFoundError, NotADirectoryError):
                return None
        size = found.get("size")
        plain = found.get("type") == "file" and not found.get("islink", False)
        return size if plain and isinstance(size, int) else None

    def read(self, name: str, most: int) -> bytes | None:
        """All of a small file; None where there is none. Raises ValueError if it has more bytes."""
        size = self.size(name)
        if size is None:
            return None
        if size > most:
            raise ValueError(f"it has {size} bytes, more than the {most} that are read")
        return b"".join(self.parts(name, size))

    def parts(self, name: str, size: int) -> Iterator[bytes]:
        """The first `size` bytes, or fewer where there are not so many."""
        offset = 0
        while offset < size:
            end = min(size, offset + PART_BYTES)
            with self._said("reading", name):
                part = self._system.cat_file(self._path(name), start=offset, end=end)
            if not part:
                return
            yield part[: end - offset]
            offset += len(part)

    def listed(self, folder: str) -> list[Entry]:
        """The regular files right below a folder; none where there is no such folder."""
        with self._said("listing", folder):
            try:
                if self._system.info(self._path(folder)).get("islink", False):
                    raise NotADirectoryError("it is a link, which a share has none of")
                found = self._system.ls(self._path(folder), detail=True)
            except FileNotFoundError:
                return []
            return [
                Entry(
                    name=str(one["name"]).rpartition("/")[2],
                    size_bytes=int(one["size"] or 0),
                    modified_s=_modified_s(one),
                )
                for one in found
                if one["type"] == "file" and not one.get("islink", False)
            ]

    def put(self, name: str, data: bytes) -> None:
        """Write a small file: all of it, or no part."""
        with self._whole(name) as path:
            self._system.pipe_file(path, data)

    def put_file(self, name: str, source: Path) -> None:
        """Write a copy of a file: all of it, or no part."""
        with self._whole(name) as path:
            self._system.put_file(str(source), path)

    def remove(self, name: str) -> None:
        """Remove a file; one that somebody else has just removed is no error."""
        with self._said("removing", name), suppress(FileNotFoundError):
            self._system.rm_file(self._path(name))

    @contextmanager
    def _whole(self, name: str) -> Iterator[str]:
        """Where to write, so that nobody sees a part of it under the name."""
        path = self._path(name)
        with self._said("writing", name):
            if self._protocol in _STORES:
                yield path
                return
            beside = self._path(f"{INCOMING}/{secrets.token_hex(16)}")
            for folder in (self._path(INCOMING), path.rpartition("/")[0]):
                self._system.makedirs(folder, exist_ok=True)
            try:
                yield beside
                if self._protocol not in _LOCAL and self._system.exists(path):
                    self._system.rm_file(path)  # not every file system renames over a file
                self._system.mv(beside, path)
            except BaseException:
                with suppress(Exception):  # the first error is the one to tell
                    self._system.rm_file(beside)
                raise

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _said(self, doing: str, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # Every file system has errors of its own, and not all of them are OSErrors.
            raise ShareError(f"{doing} {name} in {self.shown}: {_reason(error)}") from error


def open_place(url: str) -> Place:
    """The place, not reached yet.

    Raises:
        UsageError: it is no URL of a place that can be shared.
        MissingExtraError: fsspec, or what it needs for this kind of URL, is not installed.
    """
    url = whole_url(url)
    protocol, shown = _checked(url)
    protocol = protocol or "file"
    if find_spec("fsspec") is None:
        raise MissingExtraError("--share", "share")
    import fsspec

    options: dict[str, object] = {"skip_instance_cache": True, "use_listings_cache": False}
    if protocol in {"s3", "s3a"}:
        options["config_kwargs"] = _S3
    try:
        system, root = fsspec.url_to_fs(url, **options)
        missing = protocol in _LOCAL and not Path(root).is_dir()
    except ImportError as error:
        if protocol in {"s3", "s3a"}:
            raise MissingExtraError(f"--share {shown}", "share") from error
        raise UsageError(f"--share {shown}: {_reason(error)}") from error
    except (ValueError, TypeError, OSError) as error:
        raise UsageError(f"--share {shown}: {_reason(error)}") from error
    if missing:
        raise UsageError(
            f"--share {shown}: there is no folder {root}. Make it, or mount what belongs there: "
            "deployopt makes none, so that a missing mount is noticed."
        )
    return Place(system, root, protocol, shown)


def whole_url(url: str) -> str:
    """The URL; of a path, the whole one, so that it means the same in another folder.

    Raises:
        UsageError: it begins at the home of somebody who is not here.
    """
    if not url or "://" in url:
        return url
    try:
        return str(Path(url).expanduser().absolute())
    except RuntimeError as error:  # of ~NAME
        raise UsageError(f"--share {safe_text(url, _SHOWN)}: {_reason(error)}") from error


def _modified_s(told: Mapping[str, object]) -> float:
    """As the file systems of fsspec tell it, each by a name of its own."""
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        found = told.get(name)
        if isinstance(found, datetime):
            return found.timestamp()
        if isinstance(found, str):
            return datetime.fromisoformat(found).timestamp()
        if isinstance(found, int | float):
            return float(found)
    raise ValueError("it does not tell when it was written")


def _checked(url: str) -> tuple[str, str]:
    """The protocol, empty for a path, and the URL for a person."""
    shown = safe_text(url, _SHOWN)
    if not url or "::" in url or "\x00" in url:
        raise UsageError(
            f"--share {shown!r}: name a folder, or one URL such as s3://BUCKET/PREFIX."
        )
    found = _PROTOCOL.fullmatch(url)
    if found is None:
        return "", shown
    protocol = found["name"]
    if protocol in _REFUSED:
        raise UsageError(f"--share {shown}: {protocol} is no place that several can write to.")
    try:
        secret = urlsplit(url).password is not None
    except ValueError as error:
        raise UsageError(f"--share {shown}: {error}.") from error
    if secret:
        # Not shown: whoever reads the message must not learn it.
        raise UsageError(
            f"--share {protocol}://…: a password may not stand in the URL, which is written into "
            "requests and messages. Give it through the environment, as the service's own tools "
            "take it."
        )
    return protocol, shown


def _reason(error: BaseException) -> str:
    strerror = getattr(error, "strerror", None)
    text = safe_text(str(strerror or error) or type(error).__name__, _SHOWN).strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
