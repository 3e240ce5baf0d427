"""Garbage goes; what is needed or in use stays."""

import fcntl
import os
import signal
from pathlib import Path

import pytest

from deployopt.store import collecting
from deployopt.store.collecting import Collected
from deployopt.store.keys import cache_key
from deployopt.store.locks import seize
from deployopt.store.store import Store, StoredObject

KEY = cache_key({"step": "one"})
OTHER = cache_key({"step": "two"})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put(store: Store, key: str, data: bytes) -> StoredObject:
    with store.stage() as folder:
        (folder / "a").write_bytes(data)
        return store.commit(folder, key)


def test_an_empty_store_has_no_garbage(store: Store) -> None:
    assert store.gc() == Collected()
    assert not store.layout.root.exists()


def test_only_what_no_key_names_goes(store: Store) -> None:
    put(store, KEY, b"old")
    kept = put(store, KEY, b"new")
    put(store, OTHER, b"other")
    store.put_record("accuracy", KEY, b"1")
    store.close()
    dry = store.gc(dry_run=True)
    assert (dry.objects, dry.dry_run, len(names(store.layout.objects))) == (1, True, 3)
    done = store.gc()
    assert (done.objects, done.keys, done.records, done.in_use) == (1, 0, 0, 0)
    assert done.freed_bytes == dry.freed_bytes > 100
    assert len(names(store.layout.objects)) == 2
    assert store.lookup(KEY) == kept
    assert store.read_record("accuracy", KEY) == b"1"
    assert store.gc() == Collected()


def test_everything_is_all_but_what_is_in_use(store: Store) -> None:
    held = put(store, KEY, b"held")
    with Store(store.layout.root) as other:
        put(other, OTHER, b"free")
    store.put_record("accuracy", KEY, b"1")
    dry = store.gc(everything=True, dry_run=True)
    done = store.gc(everything=True)
    assert (done.objects, done.keys, done.records, done.in_use) == (1, 2, 1, 1)
    assert (dry.objects, dry.keys, dry.records, dry.in_use) == (1, 2, 1, 1)
    assert dry.freed_bytes == done.freed_bytes
    assert (held.folder / "a").read_bytes() == b"held"
    store.close()
    assert store.gc().objects == 1


def test_staging_of_the_living_stays_and_of_the_dead_goes(store: Store) -> None:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        with store.stage() as folder:
            (folder / "half").write_bytes(b"1")
            os.write(writing, b"x")
            signal.pause()
        os._exit(0)
    os.read(reading, 1)
    assert store.gc().in_use == 1
    assert len(names(store.layout.staging)) == 1
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    collected = store.gc()
    assert (collected.staging, collected.freed_bytes) == (1, 1)
    assert names(store.layout.staging) == []
    os.close(reading)
    os.close(writing)


def test_an_object_that_another_process_looked_up_stays(store: Store) -> None:
    made = put(store, KEY, b"1")
    store.close()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if Store(store.layout.root).lookup(KEY) and _wait(writing) else 1)
    os.read(reading, 1)
    assert store.gc(everything=True).in_use == 1
    assert (made.folder / "a").exists()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert store.gc(everything=True).objects == 1
    assert not made.folder.exists()
    os.close(reading)
    os.close(writing)


def _wait(writing: int) -> bool:
    os.write(writing, b"x")
    signal.pause()
    return True


def test_quarantine_and_idle_locks_go(store: Store) -> None:
    made = put(store, KEY, b"1")
    (made.folder / "a").chmod(0o644)
    (made.folder / "a").write_bytes(b"2")
    assert store.lookup(KEY) is None
    with store.building(KEY), store.building(OTHER):
        assert store.gc().quarantined == 1
        assert len(names(store.layout.locks)) == 2
    store.gc()
    assert names(store.layout.locks) == []
    assert names(store.layout.quarantine) == []


def test_where_the_system_has_no_locks_nothing_in_use_is_removed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    made = put(store, KEY, b"1")
    with store.building(KEY, timeout_s=0) as alone:
        assert not alone
    with store.stage() as folder:
        assert store.gc(everything=True).objects == 0
        assert folder.is_dir()
    assert Path(made.folder / "a").read_bytes() == b"1"


def test_an_object_named_between_looking_and_seizing_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = put(store, KEY, b"1")
    put(store, KEY, b"2")
    store.close()
    real = seize

    def named_meanwhile(path: Path) -> int | None:
        if path.name == made.digest:
            with Store(store.layout.root) as other:
                put(other, OTHER, b"1")
        return real(path)

    monkeypatch.setattr(collecting, "seize", named_meanwhile)
    assert store.gc().objects == 0
    monkeypatch.undo()
    assert store.lookup(OTHER) is not None
