"""Held by any number, seized by one, and only while it is what stands at the path."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.store.locks import hold, is_same, lock_file, seize


def test_many_may_hold_and_nobody_seizes_meanwhile(tmp_path: Path) -> None:
    first, second = hold(tmp_path), hold(tmp_path)
    assert first is not None
    assert second is not None
    assert seize(tmp_path) is None
    os.close(first)
    assert seize(tmp_path) is None
    os.close(second)
    taken = seize(tmp_path)
    assert taken is not None
    os.close(taken)


def test_nothing_there_cannot_be_held(tmp_path: Path) -> None:
    assert hold(tmp_path / "absent") is None
    assert seize(tmp_path / "absent") is None


@pytest.mark.parametrize("take", [hold, seize])
def test_what_was_replaced_while_waiting_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, take: Callable[[Path], int | None]
) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    real = fcntl.flock

    def replaced(descriptor: int, operation: int) -> None:
        path.rename(tmp_path / "moved")
        path.mkdir()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", replaced)
    assert take(path) is None


def test_a_descriptor_knows_its_path(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    held = hold(tmp_path / "a")
    assert held is not None
    assert is_same(tmp_path / "a", held)
    assert not is_same(tmp_path, held)
    (tmp_path / "a").rmdir()
    assert not is_same(tmp_path / "a", held)
    os.close(held)


def test_a_lock_file_is_made_and_let_go_on_errors(tmp_path: Path) -> None:
    with pytest.raises(KeyError), lock_file(tmp_path / "k", timeout_s=0) as alone:  # noqa: PT012
        assert alone
        raise KeyError
    with lock_file(tmp_path / "k", timeout_s=0) as alone:
        assert alone


def test_it_waits_for_the_living_and_not_for_the_dead(tmp_path: Path) -> None:
    script = (
        "import sys,time\nfrom pathlib import Path\n"
        "from deployopt.store.locks import lock_file\n"
        "with lock_file(Path(sys.argv[1]), timeout_s=0):\n"
        " print('held', flush=True)\n"
        " time.sleep(60)"
    )
    told: list[str] = []
    command = [sys.executable, "-c", script, str(tmp_path / "k")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        killer = threading.Timer(0.3, holder.kill)
        killer.start()
        began = time.monotonic()
        with lock_file(tmp_path / "k", timeout_s=None, on_wait=lambda: told.append("")) as alone:
            assert alone
        assert time.monotonic() - began >= 0.2
    assert len(told) == 1


def test_nobody_waits_where_files_cannot_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(descriptor: int, operation: int) -> None:
        del descriptor, operation
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refused)
    with lock_file(tmp_path / "k", timeout_s=None) as alone:
        assert not alone
