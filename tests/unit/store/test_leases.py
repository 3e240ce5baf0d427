"""Many together or one alone, whoever dies, and nobody waits for ever."""

import fcntl
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.core.errors import StorageError
from deployopt.store.leases import Held, Lease


def test_many_share_and_nobody_is_alone_meanwhile(tmp_path: Path) -> None:
    with Lease(tmp_path) as first, Lease(tmp_path) as second, Lease(tmp_path) as third:
        assert first.try_share()
        assert second.try_share()
        assert not third.try_alone()
        assert third.held is Held.NOT
        first.drop()
        assert not third.try_alone()
        second.drop()
        assert third.try_alone()
        assert not first.try_share()
        assert not first.try_alone()


def test_two_places_do_not_know_each_other(tmp_path: Path) -> None:
    with Lease(tmp_path, "here") as here, Lease(tmp_path, "there") as there:
        assert here.try_alone()
        assert there.try_alone()


def test_who_waits_to_be_alone_keeps_newcomers_out(tmp_path: Path) -> None:
    with Lease(tmp_path) as builder, Lease(tmp_path) as measurer, Lease(tmp_path) as newcomer:
        builder.share()
        waits = threading.Event()
        measurer.on_wait = waits.set
        thread = threading.Thread(target=measurer.alone)
        thread.start()
        assert waits.wait(10)
        _until(lambda: not newcomer.try_share())
        builder.drop()
        thread.join(10)
        assert measurer.held is Held.ALONE


def test_a_builder_lets_a_measurer_go_first_when_it_shares_again(tmp_path: Path) -> None:
    order: list[str] = []
    builder, measurer = Lease(tmp_path), Lease(tmp_path)
    builder.share()

    def measure() -> None:
        measurer.alone()
        order.append("measured")
        measurer.drop()

    waits = threading.Event()
    measurer.on_wait = waits.set
    thread = threading.Thread(target=measure)
    thread.start()
    assert waits.wait(10)
    time.sleep(0.1)
    builder.share()
    order.append("built")
    thread.join(10)
    builder.drop()
    assert order == ["measured", "built"]
    assert measurer.waited_s > 0.05


def test_alone_twice_is_alone_once(tmp_path: Path) -> None:
    with Lease(tmp_path) as lease:
        lease.alone()
        lease.alone()
        assert lease.held is Held.ALONE


def test_a_process_that_is_killed_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from deployopt.store.leases import Lease\n"
        "lease = Lease(Path(sys.argv[1])); lease.alone(); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with Lease(tmp_path) as lease:
        assert not lease.try_share()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert lease.try_share()


def test_a_lease_that_is_handed_over_is_never_let_go_between(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from deployopt.store.leases import Lease\n"
        "lease = Lease(Path(sys.argv[1])); lease.adopt(int(sys.argv[2])); sys.stdin.read()"
    )
    with Lease(tmp_path) as parent, Lease(tmp_path) as measurer:
        parent.share()
        given = parent.hand_over()
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), str(given)],
            stdin=subprocess.PIPE,
            pass_fds=[given],
        )
        parent.drop()
        assert not measurer.try_alone()
        process.communicate(b"")
        assert measurer.try_alone()
        with pytest.raises(ValueError, match="shared"):
            measurer.hand_over()


def test_without_locks_nobody_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refused)
    with Lease(tmp_path) as lease, pytest.raises(StorageError, match="without locks"):
        lease.alone()


def test_a_place_has_a_plain_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="place"):
        Lease(tmp_path, "../elsewhere")


WORK = """
import random, sys, time
from pathlib import Path
from deployopt.store.leases import Lease
lease, log, dice = Lease(Path(sys.argv[1])), open(sys.argv[2], "a"), random.Random(sys.argv[3])
end = time.monotonic() + 1.5
while time.monotonic() < end:
    alone = dice.random() < 0.4
    lease.alone() if alone else lease.share()
    began = time.monotonic_ns()
    time.sleep(dice.random() * 0.02)
    log.write(f"{sys.argv[3]} {int(alone)} {began} {time.monotonic_ns()}\\n")
    log.flush()
"""


def test_nothing_runs_beside_who_is_alone(tmp_path: Path) -> None:
    """Five processes at random: no time alone overlaps anybody's."""
    log = tmp_path / "log"
    running = [
        subprocess.Popen([sys.executable, "-c", WORK, str(tmp_path), str(log), str(seed)])
        for seed in range(5)
    ]
    assert [process.wait(60) for process in running] == [0] * 5
    spans = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    assert overlapping(spans) == []
    assert {who for who, alone, *_ in spans if alone} == set(range(5)), "nobody is starved"
    assert len(spans) > 40


def overlapping(spans: list[tuple[int, ...]]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Pairs of (who, alone, begin, end) of which one should have been alone and was not."""
    return [
        (one, other)
        for one in spans
        for other in spans
        if one[0] != other[0] and one[1] and one[2] < other[3] and other[2] < one[3]
    ]


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")
