"""Files are sent once, and brought only when every byte is the one that was listed."""

import errno
import hashlib
import shutil
from collections import namedtuple
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployopt.core.bundle import FileEntry
from deployopt.store.digests import folder_entries
from deployopt.store.share_files import (
    FILES_MAX,
    AlteredError,
    bring_files,
    listing_problems,
    send_files,
)
from deployopt.store.share_place import Place, ShareError, open_place
from tests.fakes.shares import none, wrong_place

pytest.importorskip("fsspec")
DATA = b"some bytes of a model"
SHA = hashlib.sha256(DATA).hexdigest()
ENTRY = FileEntry(path="model.onnx", size_bytes=len(DATA), sha256=SHA)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    (folder / "inner").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(DATA)
    (folder / "inner" / "same.onnx").write_bytes(DATA)
    (folder / "empty.txt").write_bytes(b"")
    return folder


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / "share").mkdir()
    return tmp_path / "share"


@pytest.fixture
def place(shared: Path) -> Place:
    return open_place(str(shared))


@pytest.fixture
def new(tmp_path: Path) -> Path:
    (tmp_path / "new").mkdir()
    return tmp_path / "new"


def test_what_was_sent_is_brought(place: Place, made: Path, shared: Path, new: Path) -> None:
    entries = folder_entries(made)
    send_files(place, made, entries)
    assert len(list((shared / "files").iterdir())) == 2  # each content once
    bring_files(place, entries, new)
    assert folder_entries(new) == entries


def test_what_is_there_is_not_sent_again(place: Place, made: Path, shared: Path) -> None:
    entries = folder_entries(made)
    send_files(place, made, entries)
    there = shared / "files" / SHA
    there.write_bytes(DATA[::-1])
    send_files(place, made, entries)
    assert there.read_bytes() == DATA[::-1]
    send_files(place, made, entries, {SHA})
    assert there.read_bytes() == DATA
    there.write_bytes(DATA[:5])
    send_files(place, made, entries)
    assert there.read_bytes() == DATA


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (None, "'model.onnx' is not there"),
        (DATA[:7], "has 7 bytes, not 21"),
        (DATA + b"!", "has 22 bytes, not 21"),
        (DATA[::-1], "has other bytes"),
    ],
)
def test_what_is_altered_is_refused(
    place: Place, shared: Path, new: Path, there: bytes | None, said: str
) -> None:
    (shared / "files").mkdir()
    if there is not None:
        (shared / "files" / SHA).write_bytes(there)
    with pytest.raises(AlteredError, match=said) as caught:
        bring_files(place, [ENTRY], new)
    assert caught.value.digests == {SHA}


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, len(DATA) - 1), bit=st.integers(0, 7))
def test_each_bit_counts(tmp_path_factory: pytest.TempPathFactory, at: int, bit: int) -> None:
    folder = tmp_path_factory.mktemp("share")
    (folder / "files").mkdir()
    (folder / "new").mkdir()
    data = bytearray(DATA)
    data[at] ^= 1 << bit
    (folder / "files" / SHA).write_bytes(data)
    with pytest.raises(AlteredError, match="other bytes"):
        bring_files(open_place(str(folder)), [ENTRY], folder / "new")
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("../model.onnx", "is not a normal path"),
        ("/etc/passwd", "is not a relative path"),
        ("a\x00b", "is not a relative path"),
        ("a/" * 9 + "b", "deeper than 8"),
    ],
)
def test_no_name_leaves_the_folder(place: Place, new: Path, path: str, said: str) -> None:
    with pytest.raises(AlteredError, match=said):
        bring_files(place, [msgspec.structs.replace(ENTRY, path=path)], new)
    assert not list(new.iterdir())


def test_lists_have_bounds() -> None:
    assert listing_problems([]) == ["it lists 0 files, and 1 to 4096 may be"]
    many = [msgspec.structs.replace(ENTRY, path=f"f{at}") for at in range(FILES_MAX + 1)]
    assert "4097 files" in listing_problems(many)[0]
    assert not listing_problems(many[1:])
    twice = [ENTRY, msgspec.structs.replace(ENTRY, path="MODEL.onnx")]
    assert "is listed beside" in listing_problems(twice)[0]
    assert listing_problems([msgspec.structs.replace(ENTRY, sha256="../" + SHA[3:])])
    assert listing_problems([msgspec.structs.replace(ENTRY, size_bytes=-1)])


def test_a_program_is_refused_whatever_it_is_called(place: Place, shared: Path, new: Path) -> None:
    data = b"\x7fELF" + bytes(100)
    sha = hashlib.sha256(data).hexdigest()
    (shared / "files").mkdir()
    (shared / "files" / sha).write_bytes(data)
    with pytest.raises(AlteredError, match="is a program or library"):
        bring_files(place, [FileEntry(path="m.onnx", size_bytes=104, sha256=sha)], new)


def test_what_does_not_fit_is_not_begun(
    place: Place, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 -- as shutil has it
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**30, 2**30, 2**20))
    with pytest.raises(AlteredError, match=r"has 1\.00 MiB to spare"):
        bring_files(place, [ENTRY], new)
    assert not list(new.iterdir())


def test_a_full_share_is_an_error_and_leaves_no_part(made: Path, shared: Path) -> None:
    place, faults = wrong_place(shared)

    def full(what: str, path: str) -> None:
        if what == "write":
            raise OSError(errno.ENOSPC, "No space left on device", path)

    faults[0] = full
    with pytest.raises(ShareError, match="No space left on device"):
        send_files(place, made, [ENTRY])
    assert not list((shared / "files").iterdir())
    faults[0] = none
    send_files(place, made, [ENTRY])


def test_a_file_that_comes_there_shorter_is_an_error(
    made: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = open_place(str(shared))
    put = place.put
    monkeypatch.setattr(place, "put_file", lambda name, source: put(name, source.read_bytes()[:4]))
    with pytest.raises(ShareError, match="4 of 21 bytes came there"):
        send_files(place, made, [ENTRY])
