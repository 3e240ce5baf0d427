"""Old entries of a share go, records before files, and nothing else does."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployopt.store.keys import cache_key
from deployopt.store.share import Share, open_share
from deployopt.store.share_place import Entry, Place, ShareError, open_place
from deployopt.store.share_sweeping import DAY_S, sweep
from deployopt.store.store import Store
from tests.fakes.shares import MISSING, s3_server, there_is_s3

pytest.importorskip("fsspec")
OLD, NEW = cache_key({"step": "old"}), cache_key({"step": "new"})
NOW_S = datetime.now(UTC).timestamp()


def offered(share: Share, store: Store, key: str, **files: bytes) -> None:
    with store.stage() as folder:
        for name, data in files.items():
            (folder / f"{name}.onnx").write_bytes(data)
        share.offer(store.commit(folder, key))


def age(path: Path, days: float) -> None:
    at = NOW_S - days * DAY_S
    os.utime(path, (at, at))


@pytest.fixture
def shared(tmp_path: Path, store: Store) -> Path:
    """Two results: one of 40 days, one of today; a file of 40 days belongs to both."""
    folder = tmp_path / "share"
    folder.mkdir()
    share = open_share(str(folder), lambda _: None)
    offered(share, store, OLD, common=b"common", own=b"only the old one's")
    for path in [*folder.glob("keys/*"), *folder.glob("files/*")]:
        age(path, 40)
    offered(share, store, NEW, common=b"common", own=b"the new one's")
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_old_records_go_with_the_files_that_nobody_else_lists(shared: Path, tmp_path: Path) -> None:
    place = open_place(str(shared))
    before = names(shared)
    told = sweep(place, now_s=NOW_S, older_s=30 * DAY_S, dry_run=True)
    assert names(shared) == before
    swept = sweep(place, now_s=NOW_S, older_s=30 * DAY_S)
    assert (swept.records, swept.files, swept.parts, swept.kept) == (1, 1, 0, 1)
    assert (told.records, told.files, told.freed_bytes) == (1, 1, swept.freed_bytes)
    assert swept.freed_bytes > len(b"only the old one's")
    assert OLD not in names(shared)
    share = open_share(str(shared), lambda _: None)
    with Store(tmp_path / "other") as other:
        found = share.find(NEW, other, lambda _, __: None)
        assert found is not None
        assert {path.name for path in found.folder.iterdir()} == {"common.onnx", "own.onnx"}
        assert share.find(OLD, other, lambda _, __: None) is None
    assert share.said == []
    assert sweep(place, now_s=NOW_S, older_s=30 * DAY_S).freed_bytes == 0


def test_what_may_be_on_its_way_stays(shared: Path) -> None:
    place = open_place(str(shared))
    for at in ("files/" + "0" * 64, "incoming/" + "1" * 32, "checks/" + "2" * 32):
        (shared / at).parent.mkdir(exist_ok=True)
        (shared / at).write_bytes(b"x")
    assert sweep(place, now_s=NOW_S, older_s=90 * DAY_S).freed_bytes == 0
    for at in ("files/" + "0" * 64, "incoming/" + "1" * 32, "checks/" + "2" * 32):
        age(shared / at, 2)
    swept = sweep(place, now_s=NOW_S, older_s=90 * DAY_S)
    assert (swept.records, swept.files, swept.parts, swept.freed_bytes) == (0, 1, 2, 3)


def test_two_at_the_same_time_do_not_disturb_each_other(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = open_place(str(shared))
    listed = Place.listed

    def and_swept(self: Place, folder: str) -> list[Entry]:
        found = listed(self, folder)
        monkeypatch.setattr(Place, "listed", listed)
        sweep(place, now_s=NOW_S, older_s=30 * DAY_S)
        return found

    monkeypatch.setattr(Place, "listed", and_swept)
    sweep(place, now_s=NOW_S, older_s=30 * DAY_S)
    assert OLD not in names(shared)
    assert NEW in names(shared)


def test_what_is_not_ours_is_left(shared: Path, tmp_path: Path) -> None:
    for at in ("files/notes.txt", "keys/README", "mine", "files/" + "A" * 64):
        (shared / at).write_bytes(b"x")
        age(shared / at, 400)
    victim = tmp_path / ("3" * 64)
    victim.write_bytes(b"elsewhere")
    age(victim, 400)
    (shared / "files" / ("4" * 64)).symlink_to(victim)
    sweep(open_place(str(shared)), now_s=NOW_S, older_s=30 * DAY_S)
    left = names(shared)
    assert {"notes.txt", "README", "mine", "A" * 64, "deployopt-share.json"} <= left
    assert victim.read_bytes() == b"elsewhere"


def test_a_folder_that_leads_elsewhere_is_refused(shared: Path, store: Store) -> None:
    """Somebody who may write the share has no right to what whoever cleans it may remove."""
    for path in (shared / "keys").iterdir():
        path.unlink()
    (shared / "keys").rmdir()
    ours = store.layout.keys
    for path in ours.iterdir():
        age(path, 400)
    before = names(ours)
    assert before
    (shared / "keys").symlink_to(ours)
    with pytest.raises(ShareError, match=r"listing keys in .*: it is a link"):
        sweep(open_place(str(shared)), now_s=NOW_S, older_s=30 * DAY_S)
    assert names(ours) == before


def test_a_record_that_nobody_could_use_keeps_no_file(shared: Path) -> None:
    (shared / "keys" / NEW).write_bytes(b"nonsense")
    swept = sweep(open_place(str(shared)), now_s=NOW_S, older_s=30 * DAY_S)
    assert (swept.records, swept.kept) == (1, 1)
    assert swept.files == 2  # its own young file stays a day


def test_an_object_store_is_swept_as_well(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    if not there_is_s3():
        pytest.skip(MISSING)
    with s3_server(monkeypatch) as url:
        share = open_share(url, lambda _: None)
        place: Place = share.place
        assert sweep(place, now_s=NOW_S, older_s=DAY_S).kept == 0
        offered(share, store, NEW, own=b"the new one's")
        assert sweep(place, now_s=NOW_S, older_s=DAY_S).kept == 1
        later_s = NOW_S + 40 * DAY_S
        swept = sweep(place, now_s=later_s, older_s=30 * DAY_S)
        assert (swept.records, swept.files, swept.kept) == (1, 1, 0)
        assert open_share(url, lambda _: None, begin=False).begun
