"""A step's result goes from one store to another, whole and looked at, or it is made again."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import RefusedInputError, StorageError, UsageError
from deployopt.store.keys import cache_key
from deployopt.store.records import seal
from deployopt.store.share import RECORD_MAX, Share, open_share
from deployopt.store.store import Store, StoredObject
from tests.fakes.shares import none, wrong_place

pytest.importorskip("fsspec")
KEY = cache_key({"step": "one"})
OTHER = cache_key({"step": "two"})
META = b'{"format":"onnx"}'


def willing(folder: Path, meta: bytes) -> None:
    assert (folder / "model.onnx").exists()
    assert meta == META


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / "share").mkdir()
    return tmp_path / "share"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "other") as opened:
        yield opened


def share_at(folder: Path) -> Share:
    return open_share(str(folder), lambda _: None)


def put(store: Store, key: str = KEY, data: bytes = b"a model") -> StoredObject:
    with store.stage() as folder:
        (folder / "model.onnx").write_bytes(data)
        return store.commit(folder, key, meta=META)


def test_what_one_offers_another_finds(store: Store, other: Store, shared: Path) -> None:
    share = share_at(shared)
    assert share.find(KEY, other, willing) is None
    made = put(store)
    share.offer(made)
    found = share_at(shared).find(KEY, other, willing)
    assert found is not None
    assert (found.digest, found.meta) == (made.digest, META)
    assert other.lookup(KEY) is not None
    assert not list(other.layout.root.glob("staging/*"))
    assert share.said == []


def test_what_is_listed_is_known_without_a_byte_of_it(
    store: Store, shared: Path, tmp_path: Path
) -> None:
    made = put(store)
    share_at(shared).offer(made)
    place, faults = wrong_place(shared)

    def unread(what: str, path: str) -> None:
        assert (what, "/files/" in path) != ("read", True)
        assert what in {"info", "read"}

    faults[0] = unread
    share = Share(place, lambda _: None)
    listed = share.listed(KEY)
    assert listed is not None
    assert (listed.digest, listed.meta) == (made.digest, META)
    assert share.listed(OTHER) is None
    assert not (tmp_path / "other").exists()


def test_one_that_is_lost_lists_nothing(store: Store, shared: Path) -> None:
    share_at(shared).offer(put(store))
    place, faults = wrong_place(shared)
    share = Share(place, lambda _: None)

    def lost(what: str, path: str) -> None:
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer", f"{what} {path}")

    faults[0] = lost
    assert [share.listed(KEY), share.listed(KEY)] == [None, None]
    assert len(share.said) == 1


def test_a_look_begins_nothing(shared: Path) -> None:
    share = open_share(str(shared), lambda _: None, begin=False)
    assert not share.begun
    assert share.listed(KEY) is None
    assert not list(shared.iterdir())
    share_at(shared)
    assert open_share(str(shared), lambda _: None, begin=False).begun


def test_files_are_there_before_their_record(store: Store, shared: Path) -> None:
    place, faults = wrong_place(shared)
    order: list[str] = []
    faults[0] = lambda what, path: order.append(path) if what == "move" else None
    Share(place, lambda _: None).offer(put(store))
    assert [Path(path).parent.name for path in order] == ["files", "keys"]


def test_what_is_there_is_left(store: Store, other: Store, shared: Path) -> None:
    share_at(shared).offer(put(store, data=b"first"))
    share_at(shared).offer(put(other, data=b"second"))
    with Store(shared.parent / "third") as third:
        found = share_at(shared).find(KEY, third, willing)
        assert found is not None
        assert (found.folder / "model.onnx").read_bytes() == b"first"


def flipped(data: bytes) -> bytes:
    return data.replace(b"model", b"m0del")


def sealed(payload: bytes, key: str = KEY) -> bytes:
    return seal(f"share/{key}", payload)


SEALED = len(sealed(b""))
WRONG_FILES: dict[str, Callable[[bytes], bytes | None]] = {
    "a file": flipped,
    "a shorter file": lambda data: data[:3],
    "a longer file": lambda data: data * 2,
    "no file": lambda _: None,
}
WRONG_RECORDS: dict[str, Callable[[bytes], bytes]] = {
    "the record": flipped,
    "half a record": lambda data: data[:100],
    "another's record": lambda data: sealed(data[SEALED:], OTHER),
    "a path": lambda data: sealed(data[SEALED:].replace(b'"model', b'"../model')),
    "no JSON": lambda _: sealed(b"{" * 100_000),
    "more": lambda data: sealed(data[SEALED:-1] + b',"more":1}'),
    "a large one": lambda _: bytes(RECORD_MAX + 1),
}


def altered(shared: Path, how: str) -> None:
    (file,) = (shared / "files").iterdir()
    if how in WRONG_RECORDS:
        record = shared / "keys" / KEY
        before = record.read_bytes()
        record.write_bytes(WRONG_RECORDS[how](before))
        assert record.read_bytes() != before
        return
    data = WRONG_FILES[how](file.read_bytes())
    file.unlink()
    if data is not None:
        file.write_bytes(data)


@pytest.mark.parametrize("how", [*WRONG_FILES, *WRONG_RECORDS])
def test_what_was_altered_is_said_made_here_and_mended(
    store: Store, other: Store, shared: Path, how: str
) -> None:
    share_at(shared).offer(put(store))
    altered(shared, how)
    said: list[str] = []
    share = open_share(str(shared), said.append)
    # By its bytes alone a file of the same size is not known to be another.
    assert (share.listed(KEY) is None) == (how != "a file")
    assert share.find(KEY, other, willing) is None
    if how == "no file":
        assert said == []  # whoever cleans a share alters nothing
    else:
        assert len(said) == 1
        assert f"under {KEY[:12]} was refused, and is made here" in said[0]
    assert share.said == said
    assert other.lookup(KEY) is None
    assert not list(other.layout.root.glob("staging/*"))
    assert {path.name for path in shared.parent.iterdir()} <= {"share", "store", "other"}
    share.offer(put(other))
    with Store(shared.parent / "third") as third:
        assert share_at(shared).find(KEY, third, willing) is not None


def test_a_record_in_anothers_place_is_refused(store: Store, other: Store, shared: Path) -> None:
    share = share_at(shared)
    share.offer(put(store))
    (shared / "keys" / KEY).rename(shared / "keys" / OTHER)
    assert share.find(OTHER, other, willing) is None
    assert "not the ones that were written" in share.said[0]


def test_what_the_caller_refuses_is_not_kept(store: Store, other: Store, shared: Path) -> None:
    share_at(shared).offer(put(store))

    def unwilling(folder: Path, meta: bytes) -> None:
        raise RefusedInputError(f"{folder.name} {len(meta)} cannot be had.")

    share = share_at(shared)
    assert share.find(KEY, other, unwilling) is None
    assert "cannot be had" in share.said[0]
    assert other.lookup(KEY) is None


def test_one_that_is_lost_is_said_once(store: Store, other: Store, shared: Path) -> None:
    place, faults = wrong_place(shared)
    said: list[str] = []
    share = Share(place, said.append)
    share.offer(put(store))

    def lost(what: str, path: str) -> None:
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer", f"{what} {path}")

    faults[0] = lost
    assert share.find(KEY, other, willing) is None
    faults[0] = none
    assert share.find(KEY, other, willing) is None
    share.offer(put(other, OTHER))
    assert not (shared / "keys" / OTHER).exists()
    (only,) = said
    assert only == (
        "The share was lost; this goes on without it. Failed looking at "
        f"keys/{KEY} in wrong://share: Connection reset by peer."
    )


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_one_that_cannot_be_written_is_still_read(
    store: Store, other: Store, shared: Path, number: int
) -> None:
    place, faults = wrong_place(shared)
    share = Share(place, lambda _: None)
    share.offer(put(store))

    def denied(what: str, path: str) -> None:
        if what == "write":
            raise OSError(number, "No", path)

    faults[0] = denied
    share.offer(put(other, OTHER, b"another model"))
    share.offer(put(other, cache_key({"step": "three"}), b"a third"))
    assert len(share.said) == 1
    assert share.said[0].startswith("Nothing more is put into the share. Failed writing files/")
    assert share.find(KEY, other, willing) is not None
    assert len(list((shared / "keys").iterdir())) == 1


def test_a_break_between_files_and_record_leaves_nothing_that_reads_as_whole(
    store: Store, other: Store, shared: Path
) -> None:
    place, faults = wrong_place(shared)

    def broken(what: str, path: str) -> None:
        if what == "move" and "/keys/" in path:
            raise ConnectionResetError("gone")

    faults[0] = broken
    share = Share(place, lambda _: None)
    share.offer(put(store))
    assert len(list((shared / "files").iterdir())) == 1
    faults[0] = none
    assert share_at(shared).find(KEY, other, willing) is None


def test_a_disk_that_is_full_here_is_an_error(
    store: Store, other: Store, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share_at(shared).offer(put(store))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("deployopt.store.share.bring_files", full)
    with pytest.raises(StorageError, match="No space left on device"):
        share_at(shared).find(KEY, other, willing)
    assert not list(other.layout.root.glob("staging/*"))


def test_a_share_is_begun_once(shared: Path) -> None:
    share_at(shared)
    mark = shared / "deployopt-share.json"
    assert msgspec.json.decode(mark.read_bytes()) == {"share": 1}
    mark.chmod(0o444)
    shared.chmod(0o555)
    try:
        share_at(shared)
    finally:
        shared.chmod(0o755)


@pytest.mark.parametrize(
    ("mark", "said"),
    [(b'{"share":2}', "is a share of version 2"), (b"[]", "is not what deployopt writes")],
)
def test_anothers_mark_is_refused(shared: Path, mark: bytes, said: str) -> None:
    (shared / "deployopt-share.json").write_bytes(mark)
    with pytest.raises(UsageError, match=said):
        share_at(shared)


def test_one_that_cannot_be_begun_is_an_error(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, faults = wrong_place(shared)

    def denied(what: str, path: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", f"{what} {path}")

    faults[0] = denied
    monkeypatch.setattr("deployopt.store.share.open_place", lambda _: place)
    with pytest.raises(StorageError, match=r"The share at wrong://share cannot be used: failed "):
        open_share("wrong://share", lambda _: None)
