"""One member comes out of an archive; anything odd in it is refused."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from deployopt.core.errors import RefusedInputError
from deployopt.sources.archives import tar_member, zip_member

LIMIT = 100_000


def tar_of(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for entry, data in entries:
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def of_type(name: str, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, "/etc/passwd"
    return entry


def zip_of(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


WANTED = (tarfile.TarInfo("in/wanted.txt"), b"content")


def test_a_member_of_a_tar() -> None:
    data = tar_of((tarfile.TarInfo("in/other"), b"x"), WANTED)
    assert tar_member(data, "in/wanted.txt", limit_bytes=LIMIT) == b"content"


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (of_type("in/link", tarfile.SYMTYPE), "neither a file nor a folder"),
        (of_type("in/hard", tarfile.LNKTYPE), "neither a file nor a folder"),
        (of_type("in/device", tarfile.CHRTYPE), "neither a file nor a folder"),
        (tarfile.TarInfo("../out"), "holds the name"),
        (tarfile.TarInfo("/etc/cron.d/x"), "holds the name"),
        (tarfile.TarInfo("in/wanted.txt"), "2 times"),
    ],
)
def test_an_odd_tar_is_refused(entry: tarfile.TarInfo, why: str) -> None:
    with pytest.raises(RefusedInputError, match=why):
        tar_member(tar_of(WANTED, (entry, b"")), "in/wanted.txt", limit_bytes=LIMIT)


@pytest.mark.parametrize("data", [b"", b"no archive", gzip.compress(b"no tar" * 200, mtime=0)])
def test_what_is_no_tar_is_refused(data: bytes) -> None:
    with pytest.raises(RefusedInputError):
        tar_member(data, "in/wanted.txt", limit_bytes=LIMIT)


def test_a_cut_tar_is_refused() -> None:
    with pytest.raises(RefusedInputError):
        tar_member(tar_of(WANTED)[:-30], "in/wanted.txt", limit_bytes=LIMIT)


def test_a_tar_that_unpacks_to_too_much_is_refused() -> None:
    data = tar_of((tarfile.TarInfo("in/wanted.txt"), bytes(10 * LIMIT)))
    with pytest.raises(RefusedInputError, match="more than"):
        tar_member(data, "in/wanted.txt", limit_bytes=LIMIT)


def test_a_member_of_a_zip(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", ("in/other", b"x"), ("in/wanted.txt", b"content"))
    assert zip_member(path, "in/wanted.txt", limit_bytes=LIMIT) == b"content"


def zip_link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("in/link")
    entry.external_attr = 0o120777 << 16
    return entry


@pytest.mark.parametrize(
    ("entry", "why"),
    [(zip_link(), "is a link"), ("../out", "holds the name"), ("/out", "holds the name")],
)
def test_an_odd_zip_is_refused(tmp_path: Path, entry: str | zipfile.ZipInfo, why: str) -> None:
    path = zip_of(tmp_path / "a.zip", ("in/wanted.txt", b"content"), (entry, b"x"))
    with pytest.raises(RefusedInputError, match=why):
        zip_member(path, "in/wanted.txt", limit_bytes=LIMIT)


def test_a_zip_member_that_is_missing_or_too_large_is_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", ("in/wanted.txt", bytes(2 * LIMIT)))
    with pytest.raises(RefusedInputError, match="0 times"):
        zip_member(path, "in/missing", limit_bytes=LIMIT)
    with pytest.raises(RefusedInputError, match="more than"):
        zip_member(path, "in/wanted.txt", limit_bytes=LIMIT)


def test_a_zip_with_a_flipped_byte_is_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", ("in/wanted.txt", b"content" * 100))
    data = bytearray(path.read_bytes())
    data[50] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(RefusedInputError):
        zip_member(path, "in/wanted.txt", limit_bytes=LIMIT)


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"no archive")
    with pytest.raises(RefusedInputError):
        zip_member(path, "in/wanted.txt", limit_bytes=LIMIT)
