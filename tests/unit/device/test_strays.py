"""What a child leaves behind, for real."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from deployopt.device.strays import MARK, new_mark, stop_strays

DAEMON = """
import os, sys, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(60)
"""


def daemon(note: Path, mark: str) -> psutil.Process:
    """A process of its own session whose parents are dead."""
    environment = os.environ | {MARK: mark}
    subprocess.run([sys.executable, "-S", "-c", DAEMON, note], env=environment, check=True)
    end = time.monotonic() + 20
    while not (note.exists() and note.read_text()) and time.monotonic() < end:
        time.sleep(0.01)
    return psutil.Process(int(note.read_text()))


def gone(process: psutil.Process) -> bool:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False


def test_only_what_has_the_mark_is_stopped(tmp_path: Path) -> None:
    marks = new_mark(), new_mark()
    first, other = (daemon(tmp_path / mark, mark) for mark in marks)
    stop_strays(marks[0])
    assert gone(first)
    assert other.is_running()
    stop_strays(marks[1])
    assert gone(other)


def test_marks_differ_and_nothing_marked_is_no_error() -> None:
    assert new_mark() != new_mark()
    stop_strays(new_mark())


@pytest.mark.parametrize("wrong", ["", "x"])
def test_a_part_of_a_mark_is_none(tmp_path: Path, wrong: str) -> None:
    mark = new_mark()
    process = daemon(tmp_path / "pid", mark)
    stop_strays(mark[:-1] + wrong)
    assert process.is_running()
    process.kill()
