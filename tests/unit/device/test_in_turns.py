"""Children that are timed beside each other, for real: one works, the others stand still."""

import itertools
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from deployopt.core.errors import DeviceError, IntegrityError
from deployopt.device.in_turns import ask_in_turns
from deployopt.device.protocol import Timed, TimeRequest, Working
from deployopt.device.setup import Limits, Setup
from tests.fakes.children import SPEAK

LIMITS = Limits(wall_s=20, quiet_s=5)
ROUND = """
def round(**facts):
    body = dict(load_s=0.1, first_s=0.1, warmup_s=[0.1], steady=True, samples_s=[0.1],
                peak_rss_bytes=1, base_rss_bytes=1, conditions={}, compared=1)
    say(type="timed", round=body | facts)
name = request["setup"]["artifact"]
def turn():
    say(type="waiting")
    assert hear() == {"type": "turn"}
"""


def _ask(
    setup: Setup, names: str, code: str, limits: Limits = LIMITS, *, at_once: bool = False
) -> tuple[Timed | DeviceError, ...]:
    """A child for each letter of `names`, all of them with this code."""
    requests = [
        TimeRequest(
            setup=msgspec.structs.replace(setup, artifact=name),
            feeds=Path("none"),
            expected=None,
            requests=1,
            min_s=0,
            seed=0,
            turn_s=0.05,
            at_once=at_once,
        )
        for name in names
    ]
    script = SPEAK.replace("hear()\n", "request = hear()\n") + ROUND + textwrap.dedent(code)
    return ask_in_turns(requests, limits, command=[sys.executable, "-c", script])


def test_only_one_works_at_a_time_and_threads_that_spin_stand_still(
    text_setup: Setup, tmp_path: Path
) -> None:
    code = f"""
    import threading
    ticks = [0]
    def spin():
        while True:
            ticks[0] += 1
    lines = []
    turn()
    threading.Thread(target=spin, daemon=True).start()
    for _ in range(4):
        start = time.monotonic()
        time.sleep(0.05)
        lines.append((name, start, time.monotonic()))
        before = ticks[0]
        turn()
        # What was left of the time slice when it said that it waits is all that it may use.
        lines[-1] += ((ticks[0] - before) / max(before, 1),)
    open({str(tmp_path)!r} + "/" + name, "w").write(json.dumps(lines))
    round()
    """
    replies = _ask(text_setup, "abc", code)
    assert all(isinstance(reply, Timed) for reply in replies)
    lines = sorted(
        (line for name in "abc" for line in msgspec.json.decode((tmp_path / name).read_bytes())),
        key=lambda line: line[1],
    )
    assert [line[0] for line in lines] == list("abccbaabccba")
    for before, after in itertools.pairwise(lines):
        assert before[2] <= after[1]
    # A thread that went on spinning would get as far while two others work as in its own turn.
    for line in lines[:3]:
        assert line[3] < 0.7


def test_a_child_that_fails_leaves_its_error_and_the_others_go_on(text_setup: Setup) -> None:
    code = """
    turn()
    if name == "b": os.kill(os.getpid(), signal.SIGSEGV)
    turn()
    if name == "c": say(type="failed", message="no luck")
    turn()
    round(load_s=ord(name))
    """
    a, b, c, d = _ask(text_setup, "abcd", code)
    assert isinstance(a, Timed)
    assert isinstance(d, Timed)
    assert (a.round.load_s, d.round.load_s) == (97, 100)
    assert "SIGSEGV" in str(b)
    assert str(c) == "no luck"


def test_one_that_cannot_even_start_leaves_the_others_alone(text_setup: Setup) -> None:
    code = "if name == 'a': sys.exit(3)\nturn()\nround()"
    a, b = _ask(text_setup, "ab", code)
    assert "exit code 3" in str(a)
    assert isinstance(b, Timed)


def test_a_fault_of_the_files_ends_it_for_all(text_setup: Setup) -> None:
    code = "turn()\nsay(type='failed', message='wrong bytes', kind='integrity')\nturn()"
    with pytest.raises(IntegrityError, match="wrong bytes"):
        _ask(text_setup, "ab", code)


def test_the_time_of_others_is_not_counted_against_a_child(text_setup: Setup) -> None:
    code = """
    for _ in range(3):
        turn()
        time.sleep(0.3)
    round()
    """
    replies = _ask(text_setup, "abc", code, Limits(wall_s=1.8, quiet_s=0.8))
    assert [type(reply) for reply in replies] == [Timed] * 3


def test_a_child_that_hangs_in_its_turn_is_stopped(text_setup: Setup) -> None:
    code = "turn()\nif name == 'a': time.sleep(60)\nturn()\nround()"
    start = time.monotonic()
    a, b = _ask(text_setup, "ab", code, Limits(wall_s=20, quiet_s=0.5))
    assert "no sign of life" in str(a)
    assert isinstance(b, Timed)
    assert time.monotonic() - start < 10


def test_one_that_takes_turns_for_ever_is_stopped(text_setup: Setup) -> None:
    code = "while True:\n    turn()\n    time.sleep(0.05)"
    (only,) = _ask(text_setup, "a", code, Limits(wall_s=1, quiet_s=5))
    assert "stopped after 1 s" in str(only)


def test_nothing_is_left_behind_when_it_is_interrupted(text_setup: Setup) -> None:
    """Stopped children too: a signal that only waits for them would leave them for ever."""
    here = psutil.Process()

    def interrupt(_: Working) -> None:
        raise KeyboardInterrupt

    code = "turn()\nif name == 'b': say(type='working', share=0.5, what='x')\nturn()\nround()"
    script = SPEAK.replace("hear()\n", "request = hear()\n") + ROUND + code
    request = TimeRequest(
        setup=text_setup, feeds=Path("n"), expected=None, requests=1, min_s=0, seed=0, turn_s=0.1
    )
    other = msgspec.structs.replace(
        request, setup=msgspec.structs.replace(text_setup, artifact="b")
    )
    with pytest.raises(KeyboardInterrupt):
        ask_in_turns([request, other], LIMITS, interrupt, command=[sys.executable, "-c", script])
    assert here.children(recursive=True) == []


def test_copies_begin_together_when_all_are_ready(text_setup: Setup, tmp_path: Path) -> None:
    code = f"""
    time.sleep(0.2 * (ord(name) - ord("a")))
    ready = time.monotonic()
    turn()
    begun = time.monotonic()
    time.sleep(0.3)
    open({str(tmp_path)!r} + "/" + name, "w").write(json.dumps([ready, begun, time.monotonic()]))
    round()
    """
    replies = _ask(text_setup, "abc", code, at_once=True)
    assert all(isinstance(reply, Timed) for reply in replies)
    times = [msgspec.json.decode((tmp_path / name).read_bytes()) for name in "abc"]
    assert min(begun for _, begun, _ in times) >= max(ready for ready, _, _ in times)
    assert max(begun for _, begun, _ in times) < min(ended for _, _, ended in times)


def test_where_a_copy_is_not_ready_none_begins(text_setup: Setup, tmp_path: Path) -> None:
    code = f"""
    if name == "b": sys.exit(3)
    turn()
    open({str(tmp_path)!r} + "/" + name, "w").close()
    round()
    """
    replies = _ask(text_setup, "abc", code, at_once=True)
    assert [str(reply) for reply in replies] == [str(replies[0])] * 3
    assert "exit code 3" in str(replies[0])
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_dies_at_work_leaves_the_others_theirs(text_setup: Setup) -> None:
    code = "turn()\nif name == 'b': sys.exit(4)\nround()"
    a, b, c = _ask(text_setup, "abc", code, at_once=True)
    assert isinstance(a, Timed)
    assert isinstance(c, Timed)
    assert "exit code 4" in str(b)


def test_copies_that_are_interrupted_leave_nothing(text_setup: Setup) -> None:
    here = psutil.Process()

    def interrupt(sign: Working) -> None:
        if "at once" in sign.what:
            raise KeyboardInterrupt

    script = SPEAK.replace("hear()\n", "request = hear()\n") + ROUND + "turn()\ntime.sleep(60)"
    one = TimeRequest(
        setup=text_setup, feeds=Path("n"), expected=None, requests=1, min_s=0, seed=0,
        turn_s=1e4, at_once=True,
    )  # fmt: skip
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        ask_in_turns([one, one], LIMITS, interrupt, command=[sys.executable, "-c", script])
    assert time.monotonic() - start < 20
    assert here.children(recursive=True) == []
