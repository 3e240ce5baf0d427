"""More is held open than a system gives at first, and no more than it gives at all."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployopt.store import collecting
from deployopt.store.descriptors import SPARE, descriptors
from deployopt.store.store import Store
from deployopt.store.writing import write_new_file

LIMIT = resource.RLIMIT_NOFILE
HELD = 40


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = resource.getrlimit(LIMIT)
    yield
    resource.setrlimit(LIMIT, before)


def allow(soft: int) -> None:
    resource.setrlimit(LIMIT, (soft, resource.getrlimit(LIMIT)[1]))


def give_no_more(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)


def fill(store: Store, count: int) -> list[str]:
    keys = [f"{number:064x}" for number in range(count)]
    for key in keys:
        with store.stage() as folder:
            write_new_file(folder / "x", key.encode())
            store.commit(folder, key)
    return keys


def test_the_soft_limit_is_raised_where_it_is_too_low() -> None:
    allow(SPARE + 10)
    assert descriptors(10) == 10
    assert resource.getrlimit(LIMIT)[0] == SPARE + 10
    assert descriptors(300) == 300
    assert resource.getrlimit(LIMIT)[0] == 1024


def test_the_hard_limit_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (SPARE + 5, SPARE + 20))
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert descriptors(1000) == 20
    assert asked == [(SPARE + 20, SPARE + 20)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: (8, 8))
    assert descriptors(5) == 1
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert descriptors(10**6) == 10**6


def test_a_build_holds_more_than_a_process_may_open_at_first(tmp_path: Path) -> None:
    allow(len(list(Path("/proc/self/fd").iterdir())) + HELD // 2)
    with Store(tmp_path) as store:
        fill(store, HELD)
        with Store(tmp_path) as other:
            assert other.gc(everything=True).in_use == HELD


def test_where_no_more_is_given_the_first_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_no_more(monkeypatch, SPARE + 10)
    with Store(tmp_path) as store:
        keys = fill(store, HELD)
        with Store(tmp_path) as other:
            assert other.gc(dry_run=True).objects == 0
            gone = other.gc(everything=True)
        assert (gone.in_use, gone.objects) == (10, HELD - 10)
        assert store.lookup(keys[0]) is None


def test_garbage_is_collected_in_as_many_parts_as_must_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path) as store:
        fill(store, HELD)
    monkeypatch.setattr(collecting, "_BATCH", 1)
    give_no_more(monkeypatch, SPARE + 10)
    looks: list[int] = []

    def named(_: object) -> frozenset[str]:
        looks.append(1)
        return frozenset()

    monkeypatch.setattr(collecting, "_named", named)
    with Store(tmp_path) as store:
        assert store.gc(everything=True).objects == HELD
    assert len(looks) == 1 + HELD // 10
