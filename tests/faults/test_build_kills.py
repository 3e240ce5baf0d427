"""Eight builds in one store, killed at random; and signals at random times of a build.

No lock is needed to be right: whatever was killed, what others find is whole, and each build ends
in the bundle that it gives alone.
"""

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import msgspec
import psutil
import pytest

from deployopt.store.verifying import verify_bundle
from tests.fakes.figures import Figures
from tests.faults.builds import (
    DONE,
    OUTPUT,
    STORE,
    Case,
    bundle_problems,
    left_over,
    place,
    said,
    store_problems,
)

BUILDERS = 8
SEEDS = 4
"""Two builders each: they race for the same keys, and all of them for what no seed decides."""
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
KILLED = -9
LONGEST_S = 15.0
"""On a busy machine a build takes longer than is worth waiting for."""
LOOK_S = 0.1


def with_seed(case: Case, seed: int) -> Case:
    return msgspec.structs.replace(case, words=(*case.words, "--seed", str(seed)))


def start(case: Case, folder: Path, builder: int, turn: int) -> int:
    """One builder, in a folder of its own, with the common store and an output of its own."""
    chosen = with_seed(case, builder % SEEDS)
    run = folder / f"run-{builder}-{turn}"
    output = place(folder) / f"{OUTPUT}-{builder}"
    words = (*chosen.words, "-o", str(output), "--store", str(place(folder) / STORE))
    return chosen.warm.start(words, run)


def kill_at_random(case: Case, folder: Path, seconds: float) -> Counter[str]:
    """Keep eight builders running and kill one after the other."""
    lot = random.Random(3)  # noqa: S311 -- no secret
    place(folder).mkdir(parents=True)
    running = {builder: start(case, folder, builder, 0) for builder in range(BUILDERS)}
    ended: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(lot.random() * 0.4)
        builder = lot.randrange(BUILDERS)
        ended[stopped(case, running[builder])] += 1
        running[builder] = start(case, folder, builder, ended.total())
    for pid in running.values():
        ended[stopped(case, pid)] += 1
    return ended


def stopped(case: Case, pid: int) -> str:
    os.kill(pid, signal.SIGKILL)  # it is a child that nobody has waited for, so the number is its
    code = case.warm.wait(pid)
    return "killed" if code == KILLED else "finished" if code in DONE else f"failed with {code}"


@pytest.mark.slow
def test_eight_builders_killed_at_random(case: Case, tmp_path: Path, figures: Figures) -> None:
    check_builders(case, tmp_path, figures, seconds=8)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_eight_builders_killed_for_minutes(case: Case, tmp_path: Path, figures: Figures) -> None:
    check_builders(case, tmp_path, figures, seconds=300)


def check_builders(case: Case, tmp_path: Path, figures: Figures, *, seconds: float) -> None:
    folder = tmp_path / "common"
    ended = kill_at_random(case, folder, seconds)
    wrong = store_problems(place(folder) / STORE)
    figures(
        f"builders {BUILDERS} in one store, kill -9 {ended['killed']} times, finished between "
        f"{ended['finished']}, corrupt {len(wrong)}"
    )
    assert set(ended) <= {"killed", "finished"}
    assert ended["killed"] >= BUILDERS
    for builder in range(BUILDERS):
        bundle = place(folder) / f"{OUTPUT}-{builder}"
        alone = tmp_path / f"alone-{builder % SEEDS}"
        if not alone.exists():
            assert with_seed(case, builder % SEEDS).run(alone) in DONE, said(alone)
        digest = verify_bundle(place(alone) / OUTPUT).bundle_digest
        wrong += bundle_problems(bundle, {None, digest})
        assert case.warm.wait(start(case, folder, builder, -1)) in DONE
        wrong += bundle_problems(bundle, {digest})
    assert wrong + store_problems(place(folder) / STORE) == []
    assert left_over(folder) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_signals_at_random_times(case: Case, tmp_path: Path, figures: Figures) -> None:
    check_signals(case, tmp_path, figures, 12)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_two_hundred_signals(case: Case, tmp_path: Path, figures: Figures) -> None:
    check_signals(case, tmp_path, figures, 200)


def check_signals(case: Case, tmp_path: Path, figures: Figures, count: int) -> None:
    """With real children; each build starts from nothing, and is stopped somewhere on its way."""
    lot = random.Random(11)  # noqa: S311 -- no secret
    whole = tmp_path / "whole"
    began = time.monotonic()
    assert case.warm.wait(case.start(whole, alone=False)) in DONE, said(whole)
    took_s = min(time.monotonic() - began, LONGEST_S)
    found: Counter[str] = Counter()
    wrong: list[str] = []
    for turn in range(count):
        folder = tmp_path / f"{turn}"
        number = (signal.SIGINT, signal.SIGTERM)[turn % 2]
        pid = case.start(folder, alone=False)
        wait_for(folder / "run" / "ready")
        family = watch(pid, lot.uniform(0, took_s))
        os.kill(pid, number)
        code = case.warm.wait(pid)
        found["stopped" if code == CODES[number] else "finished"] += 1
        problems = [] if code in {CODES[number], *DONE} else [f"ended with {code}"]
        problems += ["a traceback"] if "Traceback" in said(folder) else []
        problems += [f"orphan: {one}" for one in orphans(pid, family)]
        problems += store_problems(place(folder) / STORE)
        problems += bundle_problems(place(folder) / OUTPUT, {None, case.digest})
        problems += left_over(folder)
        wrong += [f"turn {turn}: {problem}" for problem in problems]
        if turn % max(1, count // 10) == 0:
            found["resumed"] += case.run(folder) in DONE and not bundle_problems(
                place(folder) / OUTPUT, {case.digest}
            )
            found["tried again"] += 1
    figures(
        f"signals {count}, stopped {found['stopped']} with 130 or 143, finished before "
        f"{found['finished']}, orphans or leavings {len(wrong)}, resumed to the same bundle "
        f"{found['resumed']} of {found['tried again']} tried"
    )
    assert wrong == []
    assert found["resumed"] == found["tried again"]
    assert found["stopped"] > count / 2


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.005)


def watch(pid: int, seconds: float) -> set[psutil.Process]:
    """Every process that the build started in the time before the signal."""
    found: set[psutil.Process] = set()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                break
            found.update(process.children(recursive=True))
        except psutil.NoSuchProcess:
            break
        time.sleep(LOOK_S)
    return found


def orphans(pid: int, family: set[psutil.Process]) -> list[str]:
    """What of them, and of those that say that it was their parent, runs seconds later."""
    end = time.monotonic() + 5
    while (left := running(pid, family)) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def running(pid: int, family: set[psutil.Process]) -> list[str]:
    left = [
        f"{one.pid}" for one in family
        if one.is_running() and one.status() != psutil.STATUS_ZOMBIE
    ]  # fmt: skip
    for other in psutil.process_iter(["cmdline"]):
        words = other.info["cmdline"] or []
        if "deployopt.device.child" in words and words[-1] == str(pid):
            left.append(" ".join(words))
    return left
