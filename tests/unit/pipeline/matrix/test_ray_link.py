"""The process that speaks to Ray, seen from outside: here one that only speaks."""

import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from deployopt.core.errors import IntegrityError
from deployopt.pipeline.matrix import ray_link
from deployopt.pipeline.matrix.child import Start
from deployopt.pipeline.matrix.ray_link import Link
from deployopt.pipeline.matrix.ray_words import Began, Event, Ready, Wish

WISH = Wish(jobs=1, folder="", start=Start(), shared={}, versions={}, niceness=0)
_SPEAKS = """
import os, subprocess, sys, time
events = int(sys.argv[1])
first = sys.stdin.buffer.readline()
{do}
"""


def link(monkeypatch: pytest.MonkeyPatch, do: str) -> Link:
    monkeypatch.setattr(ray_link, "COMMAND", (sys.executable, "-c", _SPEAKS.format(do=do)))
    return Link(WISH)


def heard(one: Link) -> list[Event]:
    found: list[Event] = []
    while not one.has_ended():
        found += one.events(0.1)
    return found


def test_words_come_whole_however_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    do = (
        'for part in (b\'{"type":"ready","nodes":["n"],\', b\'"cores":2}\\n{"type":"began",\','
        'b\'"cell":"a","node":"n"}\\n\'):\n    os.write(events, part); time.sleep(0.05)'
    )
    one = link(monkeypatch, do)
    try:
        assert heard(one) == [Ready(nodes=("n",), cores=2), Began(cell="a", node="n")]
        assert one.said() == "it ended with exit code 0."
    finally:
        one.stop()


def test_whoever_says_much_is_heard_while_much_is_said_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither waits for the other with both pipes full."""
    do = (
        'word = b\'{"type":"began","cell":"a","node":"n"}\\n\'\n'
        "for _ in range(10000):\n    os.write(events, word)\n"
        "print('.' * 200000, flush=True)\n"
        "second = sys.stdin.buffer.readline()\nassert second.endswith(b'}\\n')"
    )
    one = link(monkeypatch, do)
    try:
        one.say(msgspec.structs.replace(WISH, shared={"a": "b" * 2**20}))
        assert heard(one) == [Began(cell="a", node="n")] * 10000
        assert one.said().startswith("...")
    finally:
        one.stop()


def test_its_last_words_are_kept_and_what_is_no_word_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = link(monkeypatch, "print('first'); print('last', flush=True); sys.exit(3)")
    try:
        assert heard(one) == []
        assert one.said() == "first | last"
    finally:
        one.stop()
    two = link(monkeypatch, "os.write(events, b'nonsense\\n')")
    try:
        with pytest.raises(IntegrityError):
            heard(two)
    finally:
        two.stop()


def test_nothing_that_it_started_outlives_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mark = tmp_path / "pid"
    do = (
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        f"open({str(mark)!r}, 'w').write(str(child.pid))\n"
        'os.write(events, b\'{"type":"ready","nodes":[],"cores":1}\\n\')\ntime.sleep(60)'
    )
    one = link(monkeypatch, do)
    try:
        while not list(one.events(0.1)):
            assert not one.has_ended()
        pid = int(mark.read_text())
        assert psutil.pid_exists(pid)
    finally:
        one.stop()
    gone = not psutil.pid_exists(pid)
    assert gone or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
