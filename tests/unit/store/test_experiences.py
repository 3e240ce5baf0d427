"""Experiences in the store: kept, bounded, never fatal."""

import os
from pathlib import Path

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.codec import encode_json
from deployopt.core.experience import Experience
from deployopt.store import experiences as module
from deployopt.store.experiences import KIND, keep_experiences, read_experiences
from deployopt.store.keys import cache_key
from deployopt.store.store import Store

ONE = Experience(
    target="rpi4",
    machine="m" * 64,
    premises="p" * 64,
    model="a" * 64,
    artifact="b" * 64,
    runtime="cpu 1.31.1",
    precision=Precision.INT8,
    convolutional=False,
    metric="latency_p95",
    predicted=0.05,
    measured=0.06,
    samples=120,
)
replace = msgspec.structs.replace


def test_what_is_kept_is_read_back_and_measured_again_replaces(tmp_path: Path) -> None:
    other = replace(ONE, metric="memory_peak", predicted=1e8, measured=1.1e8)
    assert keep_experiences((ONE, other), tmp_path) is None
    assert keep_experiences((replace(ONE, measured=0.07),), tmp_path) is None
    found = {e.metric: e.measured for e in read_experiences(tmp_path)}
    assert found == {"latency_p95": 0.07, "memory_peak": 1.1e8}


def test_nothing_to_keep_makes_no_store(tmp_path: Path) -> None:
    assert keep_experiences((), tmp_path / "store") is None
    assert read_experiences(tmp_path / "store") == ()
    assert not (tmp_path / "store").exists()


def test_damaged_and_foreign_records_are_skipped(tmp_path: Path) -> None:
    keep_experiences((ONE,), tmp_path)
    with Store(tmp_path) as store:
        store.put_record(KIND, cache_key({"n": 1}), b'{"version": 9, "later": true}')
        store.put_record(KIND, cache_key({"n": 2}), encode_json(replace(ONE, version=2)))
        store.put_record(KIND, cache_key({"n": 3}), encode_json(replace(ONE, predicted=0.0)))
    folder = tmp_path / "records" / KIND
    (folder / cache_key({"n": 4})).write_bytes(b"torn")
    (folder / "notes.txt").write_text("mine")
    assert read_experiences(tmp_path) == (ONE,)


def test_only_the_newest_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    for number in range(5):
        keep_experiences((replace(ONE, model=f"{number}" * 64),), tmp_path)
        for path in (tmp_path / "records" / KIND).iterdir():
            age = path.stat().st_mtime_ns - 10**9
            os.utime(path, ns=(age, age))
    assert [e.model[0] for e in read_experiences(tmp_path)] == ["4", "3", "2"]


def test_a_store_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    reason = keep_experiences((ONE,), blocked)
    assert reason is not None
    assert "not kept" in reason
    assert read_experiences(blocked) == ()
