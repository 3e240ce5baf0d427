"""Ctrl-C and SIGTERM: 130 and 143, no child left behind, no staging, and the work goes on after."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deployopt.cli.main import run
from tests.fakes import hurried
from tests.functional.conftest import Done, Invoke, child_environment

pytestmark = pytest.mark.slow
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
WORDS = {signal.SIGINT: "Interrupted", signal.SIGTERM: "Terminated"}


class Running:
    """A build in a session of its own, and every child that it was seen to have."""

    def __init__(self, folder: Path, words: tuple[object, ...]) -> None:
        self.folder = folder
        self.ready = folder / "ready"
        self.ready.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [*hurried.COMMAND, "build", *map(str, words), "-o", "b", "--store", "store"],
            cwd=folder, env=child_environment() | {hurried.READY: str(self.ready)},
            text=True, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._seen: set[psutil.Process] = set()

    def staged(self, pattern: str) -> bool:
        try:
            return bool(list((self.folder / "store").glob(f"staging/{pattern}")))
        except FileNotFoundError:  # it went while it was looked at
            return False

    def has_children(self) -> bool:
        self._look()
        return any(child.is_running() for child in self._seen)

    def _look(self) -> None:
        try:
            self._seen.update(psutil.Process(self.process.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return

    def wait_for(self, there: Callable[[], bool]) -> None:
        end = time.monotonic() + 120
        while not there():
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.005)

    def stop(self, number: signal.Signals) -> Done:
        """Send the signal to the command alone, as `kill` does, and wait for its end."""
        self._look()
        start = time.monotonic()
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        assert time.monotonic() - start < 20
        return Done(code=self.process.returncode, out=out, err=err)

    def orphans(self) -> list[psutil.Process]:
        """Of its children what still runs seconds later.

        One that was being started when a second Ctrl-C cut the clean-up short ends by itself, as
        soon as it finds its parent gone.
        """
        end = time.monotonic() + 5
        while (left := self._left()) and time.monotonic() < end:
            time.sleep(0.05)
        return left

    def _left(self) -> list[psutil.Process]:
        """What runs of its children, or says that this was its parent."""
        left = [child for child in self._seen if child.is_running() and child.status() != "zombie"]
        for other in psutil.process_iter(["cmdline"]):
            words = other.info["cmdline"] or []
            if "deployopt.device.child" in words and words[-1] == str(self.process.pid):
                left.append(other)
        return left


Begin = Callable[..., Running]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    running: list[Running] = []

    def start(*words: object) -> Running:
        running.append(Running(tmp_path, words))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
            one.process.communicate()


def check_stopped(stopped: Done, build: Running, number: signal.Signals) -> None:
    assert stopped.code == CODES[number], stopped.err
    assert WORDS[number] in stopped.err
    assert "run the same command to go on" in stopped.err
    assert "Traceback" not in stopped.err
    assert build.orphans() == []
    assert not list(build.folder.glob("b*"))
    assert run(["gc", "--store", str(build.folder / "store")]) == 0
    assert not list((build.folder / "store" / "staging").glob("*"))


@pytest.mark.parametrize("number", CODES)
def test_while_measuring(
    begin: Begin, number: signal.Signals, mlp: Path, arrays: Path, here: Path
) -> None:
    build = begin("-t", here, "-m", mlp, "-d", arrays)
    build.wait_for(lambda: build.staged("**/feeds.npz") and build.has_children())
    check_stopped(build.stop(number), build, number)


@pytest.mark.torch
@pytest.mark.parametrize("number", CODES)
def test_in_a_step(
    begin: Begin, number: signal.Signals, text_model: Path, texts: Path, here: Path
) -> None:
    build = begin("-t", here, "-m", text_model, "-d", texts)
    locks = build.folder / "store" / "locks"
    build.wait_for(lambda: bool(list(locks.glob("*"))) and build.staged("*"))
    check_stopped(build.stop(number), build, number)


def test_at_any_time(
    invoke: Invoke,
    begin: Begin,
    mlp_build: Done,
    tmp_path: Path,
    mlp: Path,
    arrays: Path,
    here: Path,
) -> None:
    """One store, stopped again and again at times drawn by lot; it ends in the same bundle."""
    lot = random.Random(20)  # noqa: S311 -- no secret
    for turn in range(8):
        number = (signal.SIGINT, signal.SIGTERM)[turn % 2]
        build = begin("-t", here, "-m", mlp, "-d", arrays)
        # Later than Python's own start, where no program can answer a signal.
        build.wait_for(build.ready.exists)
        end = time.monotonic() + lot.uniform(0, 3)
        while time.monotonic() < end and build.process.poll() is None:
            build.has_children()
            time.sleep(0.01)
        if build.process.poll() is None:
            stopped = build.stop(number)
            assert stopped.code in {CODES[number], 0, 3}, stopped.err
            assert "Traceback" not in stopped.err
        assert build.orphans() == []
    done = invoke(
        "build", "-t", here, "-m", mlp, "-d", arrays, "-o", tmp_path / "b", "--store",
        tmp_path / "store", "--json",
    )  # fmt: skip
    assert done.json["bundle_digest"] == mlp_build.json["bundle_digest"]
    assert invoke("gc", "--store", tmp_path / "store").code == 0
    assert not list((tmp_path / "store" / "staging").glob("*"))


def test_a_terminal_sends_ctrl_c_to_the_whole_group(
    begin: Begin, mlp: Path, arrays: Path, here: Path
) -> None:
    build = begin("-t", here, "-m", mlp, "-d", arrays)
    build.wait_for(lambda: build.staged("**/feeds.npz") and build.has_children())
    os.killpg(build.process.pid, signal.SIGINT)
    check_stopped(build.stop(signal.SIGINT), build, signal.SIGINT)
