"""What is put in comes out, or nothing does."""

import errno
import os
import signal
import stat
import threading
import time
from pathlib import Path

import pytest

from deployopt.core.errors import RefusedInputError, StorageError
from deployopt.store.keys import cache_key
from deployopt.store.store import Store, StoredObject

KEY = cache_key({"step": "one"})
OTHER = cache_key({"step": "two"})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put(store: Store, key: str, contents: dict[str, bytes], meta: bytes = b"{}") -> StoredObject:
    with store.stage() as folder:
        for name, data in contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return store.commit(folder, key, meta=meta)


def files_in(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_nothing_is_there_at_first_and_looking_makes_nothing(store: Store) -> None:
    assert store.lookup(KEY) is None
    assert store.read_record("accuracy", KEY) is None
    assert not store.layout.root.exists()


def test_what_was_committed_is_found_by_another_store_object(store: Store) -> None:
    made = put(store, KEY, {"model.onnx": b"weights", "deep/er/x": b""}, meta=b'{"opset": 21}')
    with Store(store.layout.root) as again:
        found = again.lookup(KEY)
    assert found == made
    assert (made.folder / "model.onnx").read_bytes() == b"weights"
    assert made.meta == b'{"opset": 21}'
    assert made.size_bytes == 7
    assert names(store.layout.staging) == []


def test_stored_files_are_read_only_and_never_executable(store: Store) -> None:
    with store.stage() as folder:
        (folder / "a").write_bytes(b"1")
        (folder / "a").chmod(0o777)
        (folder / "empty").mkdir()
        made = store.commit(folder, KEY)
    assert stat.S_IMODE((made.folder / "a").stat().st_mode) == 0o444
    assert not (made.folder / "empty").exists()


def test_two_keys_may_share_an_object_and_keep_their_own_meta(store: Store) -> None:
    first = put(store, KEY, {"a": b"1"}, meta=b"1")
    second = put(store, OTHER, {"a": b"1"}, meta=b"2")
    assert first.digest == second.digest
    assert [found.meta for key in (KEY, OTHER) if (found := store.lookup(key))] == [b"1", b"2"]


def test_a_key_committed_again_points_to_the_new_object(store: Store) -> None:
    put(store, KEY, {"a": b"1"})
    newer = put(store, KEY, {"a": b"2"})
    assert store.lookup(KEY) == newer


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError, OSError])
def test_an_abandoned_stage_is_gone(store: Store, error: type[BaseException]) -> None:
    with pytest.raises(error), store.stage() as folder:  # noqa: PT012 -- the block is the subject
        (folder / "half").write_bytes(b"1")
        raise error
    assert names(store.layout.staging) == []
    assert store.lookup(KEY) is None


def test_only_a_staged_folder_and_json_are_committed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "content").mkdir()
    with pytest.raises(ValueError, match="stage"):
        store.commit(tmp_path / "content", KEY)
    with pytest.raises(ValueError, match="JSON"):
        put(store, KEY, {"a": b"1"}, meta=b"{")
    with pytest.raises(ValueError, match="not a cache key"):
        store.lookup("../../etc/passwd")
    with pytest.raises(ValueError, match="not a kind"):
        store.put_record("../keys", KEY, b"")
    assert store.lookup(KEY) is None


def test_a_link_in_a_staged_folder_is_refused(store: Store) -> None:
    with pytest.raises(RefusedInputError, match="symbolic"), store.stage() as folder:  # noqa: PT012
        (folder / "link").symlink_to("/etc/passwd")
        store.commit(folder, KEY)
    assert store.lookup(KEY) is None


def test_one_flipped_byte_anywhere_is_met_quarantined_and_built_again(store: Store) -> None:
    contents = {"model.onnx": os.urandom(300), "a/b": b"x"}
    original = put(store, KEY, contents)
    store.put_record("accuracy", KEY, b"payload")
    store.close()
    rejected = 0
    for path in files_in(store.layout.root):
        data = path.read_bytes()
        mode = path.stat().st_mode
        for offset in range(0, len(data), 23):
            flipped = bytearray(data)
            flipped[offset] ^= 1 << (offset % 8)
            path.chmod(0o644)
            path.write_bytes(flipped)
            path.chmod(mode)
            with Store(store.layout.root) as fresh:
                found = fresh.lookup(KEY)
                record = fresh.read_record("accuracy", KEY)
                assert (found is None) is not (record is None)
                assert len(fresh.notices) == 1
                again = put(fresh, KEY, contents)
                fresh.put_record("accuracy", KEY, b"payload")
                assert again.digest == original.digest
                assert fresh.lookup(KEY) == again
            rejected += 1
    assert rejected > 35


@pytest.mark.parametrize("change", ["add", "remove", "truncate", "link", "beside", "manifest"])
def test_an_object_with_other_files_is_not_used(store: Store, change: str) -> None:
    made = put(store, KEY, {"a": b"1", "b": b"2"})
    if change == "add":
        (made.folder / "c").write_bytes(b"")
    elif change == "beside":
        (made.folder.parent / "c").write_bytes(b"")
    elif change == "manifest":
        (made.folder.parent / "manifest.json").unlink()
    elif change == "truncate":
        (made.folder / "a").chmod(0o644)
        (made.folder / "a").write_bytes(b"")
    else:
        (made.folder / "a").unlink()
        if change == "link":
            (made.folder / "a").symlink_to(made.folder / "b")
    assert store.lookup(KEY) is None
    assert [notice.what for notice in store.notices] == [made.digest]
    assert store.notices[0].why


def test_swapped_entries_are_met(store: Store) -> None:
    first, second = put(store, KEY, {"a": b"1"}), put(store, OTHER, {"a": b"2"})
    for one, other in (
        (store.layout.keys / KEY, store.layout.keys / OTHER),
        (first.folder.parent, second.folder.parent),
    ):
        for source, target in ((one, "kept"), (other, one.name), (one.parent / "kept", other.name)):
            source.rename(source.parent / target)
        with Store(store.layout.root) as fresh:
            assert fresh.lookup(KEY) is None
            assert fresh.lookup(OTHER) is None
        put(store, KEY, {"a": b"1"})
        put(store, OTHER, {"a": b"2"})


def test_times_do_not_count(store: Store) -> None:
    made = put(store, KEY, {"a": b"1"})
    store.put_record("accuracy", KEY, b"1")
    for path in [store.layout.root, *store.layout.root.rglob("*")]:
        os.utime(path, (0, 0))
    store.gc()
    with Store(store.layout.root) as fresh:
        assert fresh.lookup(KEY) == made
        assert fresh.read_record("accuracy", KEY) == b"1"


def test_records_come_back_and_are_replaced(store: Store) -> None:
    store.put_record("accuracy", KEY, b"first")
    store.put_record("accuracy", KEY, b"\x00\n second")
    assert store.read_record("accuracy", KEY) == b"\x00\n second"
    assert store.read_record("latency", KEY) is None
    assert names(store.layout.staging) == []


def test_a_record_in_another_place_is_met(store: Store) -> None:
    store.put_record("accuracy", KEY, b"1")
    store.put_record("latency", OTHER, b"1")
    path = store.layout.records / "accuracy" / KEY
    path.rename(path.with_name(OTHER))
    assert store.read_record("accuracy", OTHER) is None
    assert store.notices[0].what == f"accuracy/{OTHER}"


def test_too_little_space_says_how_much_and_where(store: Store) -> None:
    store.require_space(1)
    with pytest.raises(StorageError, match=r"needs \d+ MiB free at .*store.*DEPLOYOPT_HOME"):
        store.require_space(2**62)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_a_failing_disk_is_one_clear_error(
    store: Store, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    before = put(store, KEY, {"a": b"1"})

    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        with pytest.raises(StorageError, match=os.strerror(code)):
            put(store, KEY, {"a": b"2"})
    assert names(store.layout.staging) == []
    assert store.lookup(KEY) == before


def test_a_file_size_limit_leaves_nothing_behind(store: Store) -> None:
    pid = os.fork()
    if pid == 0:
        _run_limited(store)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 5
    assert store.read_record("accuracy", KEY) is None
    assert names(store.layout.staging) == []


def _run_limited(store: Store) -> None:
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        store.put_record("accuracy", KEY, bytes(5000))
    except StorageError as error:
        os._exit(error.exit_code)
    os._exit(99)


def test_the_users_own_errors_pass_unchanged(store: Store) -> None:
    with pytest.raises(FileNotFoundError), store.stage() as folder:
        (folder / "absent").read_bytes()


def test_a_builder_waits_for_another_and_then_finds_its_object(store: Store) -> None:
    order: list[str] = []
    inside = threading.Event()

    def build() -> None:
        with Store(store.layout.root) as mine, mine.building(KEY) as alone:
            assert alone
            inside.set()
            time.sleep(0.2)
            put(mine, KEY, {"a": b"1"})
            order.append("built")

    other = threading.Thread(target=build)
    other.start()
    inside.wait()
    with store.building(KEY) as alone:
        order.append("entered")
        assert alone
        assert store.lookup(KEY) is not None
    other.join()
    assert order == ["built", "entered"]


def test_a_builder_that_waits_too_long_goes_on_alone(store: Store) -> None:
    with store.building(KEY) as first, store.building(KEY, timeout_s=0.01) as second:
        assert (first, second) == (True, False)


def test_the_home_folder_is_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYOPT_HOME", "/data/deployopt")
    assert Store().layout.root == Path("/data/deployopt/store-1")
    monkeypatch.delenv("DEPLOYOPT_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert Store().layout.root == Path("/caches/deployopt/store-1")
