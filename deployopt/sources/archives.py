"""Reading one named member out of an archive, in memory, strictly.

In: a zip file (a wheel is one) or the bytes of a gzipped tar, the member's exact name and the most
bytes it may hold. Out: its bytes. Nothing is unpacked to disk, so a name cannot point anywhere.
Refuses an archive that holds links, devices, absolute names or names with `..`, a member that is
missing, doubled or too large, and anything that is no archive.
"""

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from deployopt.core.errors import RefusedInputError


def zip_member(archive: Path, name: str, *, limit_bytes: int) -> bytes:
    """The bytes of one regular member of a zip file.

    Raises:
        RefusedInputError: the archive or the member is not what was asked for.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                _check_name(entry.filename, archive.name)
                if stat.S_ISLNK(entry.external_attr >> 16):
                    raise _refused(archive.name, f"{entry.filename} is a link")
            found = [entry for entry in opened.infolist() if entry.filename == name]
            size = _only_size([entry.file_size for entry in found], name, archive.name)
            _check_size(size, limit_bytes, name, archive.name)
            with opened.open(found[0]) as member:
                data = member.read(limit_bytes + 1)
    except (OSError, EOFError, zlib.error, NotImplementedError, zipfile.BadZipFile) as error:
        raise _refused(archive.name, str(error)) from error
    _check_size(len(data), limit_bytes, name, archive.name)
    return data


def tar_member(data: bytes, name: str, *, limit_bytes: int) -> bytes:
    """The bytes of one regular member of a gzipped tar; `limit_bytes` bounds the whole tar.

    Raises:
        RefusedInputError: the archive or the member is not what was asked for.
    """
    where = "the inner archive"
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            raw = packed.read(limit_bytes + 1)
        _check_size(len(raw), limit_bytes, "its content", where)
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as opened:
            entries = opened.getmembers()
            for entry in entries:
                _check_name(entry.name, where)
                if not (entry.isreg() or entry.isdir()):
                    raise _refused(where, f"{entry.name} is neither a file nor a folder")
            found = [entry for entry in entries if entry.name == name and entry.isreg()]
            size = _only_size([entry.size for entry in found], name, where)
            member = opened.extractfile(found[0])
            content = member.read() if member is not None else b""
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise _refused(where, str(error)) from error
    if len(content) != size:
        raise _refused(where, f"{name} is cut short")
    return content


def _check_name(name: str, where: str) -> None:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise _refused(where, f"it holds the name {name!r}")


def _only_size(sizes: list[int], name: str, where: str) -> int:
    if len(sizes) != 1:
        raise _refused(where, f"{name} is there {len(sizes)} times, not once")
    return sizes[0]


def _check_size(size: int, limit_bytes: int, name: str, where: str) -> None:
    if size > limit_bytes:
        raise _refused(where, f"{name} holds more than {limit_bytes} bytes")


def _refused(where: str, why: str) -> RefusedInputError:
    return RefusedInputError(f"{where} was not opened: {why}. Fetch it again from its publisher.")
