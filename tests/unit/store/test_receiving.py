"""Files by digest: whole or not there, gone on with where they broke off."""

import errno
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployopt.store.receiving import Objects, ReceivingError, sha256_of

DATA = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


def _receive(objects: Objects, data: bytes = DATA, digest: str = DIGEST) -> int:
    with objects.receiving(digest, len(data)) as incoming:
        offset = incoming.offset
        objects.write(incoming, iter([data[offset:]]), len(data))
    return offset


def test_a_file_is_kept_under_its_digest(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    assert objects.missing([DIGEST]) == [DIGEST]
    assert _receive(objects) == 0
    assert objects.missing([DIGEST]) == []
    assert Objects(tmp_path).missing([DIGEST]) == []
    assert sha256_of(objects.path(DIGEST)) == DIGEST
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_broken_transfer_goes_on(tmp_path: Path) -> None:
    objects = Objects(tmp_path)

    def broken() -> Iterator[bytes]:
        yield DATA[:1000]
        raise ConnectionError

    with pytest.raises(ConnectionError), objects.receiving(DIGEST, len(DATA)) as incoming:
        objects.write(incoming, broken(), len(DATA))
    assert objects.missing([DIGEST]) == [DIGEST]
    assert _receive(Objects(tmp_path)) == 1000
    assert sha256_of(objects.path(DIGEST)) == DIGEST


def test_other_bytes_are_not_kept_and_the_next_attempt_begins_anew(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    (tmp_path / "incoming" / DIGEST).write_bytes(b"x" * 50)
    with pytest.raises(ReceivingError, match="other bytes") as caught:
        _receive(objects)
    assert caught.value.kind == "integrity"
    assert objects.missing([DIGEST]) == [DIGEST]
    assert _receive(objects) == 0


def test_a_beginning_that_is_longer_than_the_file_is_forgotten(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    (tmp_path / "incoming" / DIGEST).write_bytes(DATA + b"x")
    assert _receive(objects) == 0


def test_rotten_bytes_are_missing(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    _receive(objects)
    path = objects.path(DIGEST)
    path.chmod(0o600)
    path.write_bytes(b"x" + DATA[1:])
    assert Objects(tmp_path).missing([DIGEST]) == [DIGEST]
    assert not path.exists()


def test_two_connections_bring_the_same_file(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    with objects.receiving(DIGEST, len(DATA)) as incoming:
        assert _receive(Objects(tmp_path)) == 0
        objects.write(incoming, iter([DATA]), len(DATA))
    assert objects.missing([DIGEST]) == []


@pytest.mark.parametrize("name", ["", "../x", "a" * 63, "A" * 64, "a" * 65, f"{'a' * 64}\n"])
def test_only_a_digest_names_an_object(name: str, tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    with pytest.raises(ReceivingError, match="is no sha256"):
        objects.path(name)
    with pytest.raises(ReceivingError):
        objects.missing([name])
    with pytest.raises(ReceivingError), objects.receiving(name, 1):
        pass


def test_what_does_not_fit_is_said_before_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = Objects(tmp_path)
    monkeypatch.setattr(Objects, "free_bytes", lambda _: 1000)
    with pytest.raises(ReceivingError, match="does not fit") as caught:
        _receive(objects)
    assert caught.value.kind == "space"


def test_what_earlier_connections_left_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _receive(Objects(tmp_path))
    objects = Objects(tmp_path)
    old = objects.path(DIGEST)
    monkeypatch.setattr(Objects, "free_bytes", lambda _: 0 if old.exists() else 10**6)
    data = b"new"
    _receive(objects, data, hashlib.sha256(data).hexdigest())
    assert not old.exists()
    assert objects.missing([hashlib.sha256(data).hexdigest()]) == []


def test_a_disk_that_fills_up_takes_in_the_rest_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = Objects(tmp_path)
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(5):
            taken += 1
            yield b"x"

    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with objects.receiving(DIGEST, 5) as incoming:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(ReceivingError, match="No space left") as caught:
            objects.write(incoming, chunks(), 5)
        monkeypatch.undo()
        objects.write(incoming, iter([DATA]), 5)
    assert caught.value.kind == "space"
    assert taken == 5


def test_a_second_name_outlives_the_first(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    _receive(objects)
    objects.trim(len(DATA))
    objects.place(DIGEST, tmp_path / "run" / "model.onnx")
    objects.place(DIGEST, tmp_path / "run" / "model.onnx")
    objects.trim(len(DATA) - 1)
    assert objects.missing([DIGEST]) == [DIGEST]
    assert (tmp_path / "run" / "model.onnx").read_bytes() == DATA
    with pytest.raises(ReceivingError, match="any more") as caught:
        objects.place(DIGEST, tmp_path / "other")
    assert caught.value.kind == "missing"


def test_it_needs_the_standard_library_only() -> None:
    words = [sys.executable, "-I", "-S", "-c", "import sys; exec(sys.stdin.read())"]
    source = (Path(__file__).parents[3] / "deployopt/store/receiving.py").read_bytes()
    assert subprocess.run(words, input=source, check=False).returncode == 0
