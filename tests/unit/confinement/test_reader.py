"""Whatever a reader does, its parent lives, is told, and can ask again."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from deployopt.confinement.confine import offered
from deployopt.confinement.reader import Bounds, Reader, StoppedError
from deployopt.core.errors import IntegrityError, RefusedInputError, UsageError

ROOT = Path(__file__).parents[3]
MODULE = "tests.fakes.misbehaving_reader"
BOUNDS = Bounds(
    wall_s=60.0, memory_bytes=64 << 20, headroom_bytes=64 << 20, answer_bytes=2 << 20,
    output_bytes=1 << 20,
)  # fmt: skip
HELD = offered()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "given"
    found.mkdir()
    (found / "file").write_bytes(b"content")
    (tmp_path / "secret").write_bytes(b"secret")
    return found


@pytest.fixture
def reader(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with Reader(MODULE, [folder], BOUNDS) as opened:
        yield opened


def test_it_answers_and_stays(reader: Reader) -> None:
    assert reader.ask(b"echo 1") == b"echo 1"
    first = reader.pid
    assert reader.ask(b"echo 2") == b"echo 2"
    assert reader.pid == first
    assert reader.ask(b"thread") == b"ran"


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("crash", "SIGSEGV"),
        ("eat", "MiB of memory|more memory"),
        ("flood", "printed more than"),
        ("leave", "ended it"),
        ("lie", "nonsense"),
        ("large", "announced an answer"),
        ("panic at the disco", "failed: _Panic: at the disco"),
    ],
)
def test_what_it_does_is_told_and_the_next_question_answered(
    reader: Reader, what: str, says: str
) -> None:
    with pytest.raises(StoppedError, match=says):
        reader.ask(what.encode())
    assert reader.ask(b"echo again") == b"echo again"


@pytest.mark.parametrize("what", ["hang", "spin"])
def test_one_that_does_not_end_is_stopped(
    what: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    hurried = msgspec.structs.replace(BOUNDS, wall_s=0.5)
    with Reader(MODULE, [folder], hurried) as reader:
        with pytest.raises(StoppedError, match=r"took more than 0\.5 s"):
            reader.ask(what.encode())
        assert reader.pid is None


def test_nothing_is_left_when_it_is_closed(reader: Reader) -> None:
    reader.ask(b"echo")
    pid = reader.pid
    assert pid is not None
    reader.close()
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize(
    ("what", "kind"),
    [("usage", UsageError), ("refuse", RefusedInputError), ("integrity", IntegrityError)],
)
def test_its_errors_are_as_if_they_were_here(
    reader: Reader, what: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match="no such column"):
        reader.ask(f"{what} no such column".encode())


def test_it_gets_nothing_of_our_environment(reader: Reader) -> None:
    names = reader.ask(b"environment").decode().split(",")
    assert "HF_TOKEN" not in names
    assert "HOME" not in names


def test_it_writes_nothing(reader: Reader, folder: Path) -> None:
    with pytest.raises(StoppedError, match=r"PermissionError|OSError"):
        reader.ask(f"write {folder / 'new'}".encode())
    assert not (folder / "new").exists() or not (folder / "new").read_bytes()


@pytest.mark.skipif(not (HELD and HELD.landlock), reason="no Landlock here")
def test_it_sees_what_it_was_given_alone(reader: Reader, folder: Path) -> None:
    assert reader.ask(f"read {folder / 'file'}".encode()) == b"content"
    for path in (folder.parent / "secret", Path(f"/proc/{os.getpid()}/environ")):
        with pytest.raises(StoppedError, match="PermissionError"):
            reader.ask(f"read {path}".encode())


@pytest.mark.skipif(not (HELD and HELD.no_network), reason="no networks of their own here")
def test_it_reaches_nobody(reader: Reader) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(StoppedError, match="Error"),
    ):
        reader.ask(f"connect {server.getsockname()[1]}".encode())


@pytest.mark.skipif(not (HELD and HELD.seccomp), reason="no seccomp here")
@pytest.mark.parametrize("what", ["fork", "run", "kill"])
def test_it_starts_and_signals_nothing(reader: Reader, what: str) -> None:
    with pytest.raises(StoppedError, match="PermissionError"):
        reader.ask(f"{what} {os.getpid()}".encode())


def test_a_module_that_does_not_start_is_told() -> None:
    with Reader("deployopt.no_such_module") as reader, pytest.raises(StoppedError, match="ended"):
        reader.ask(b"")
