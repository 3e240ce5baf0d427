"""Timed requests have the machine alone; building goes on beside building."""

import subprocess
import sys
from pathlib import Path

import pytest

from deployopt.core.interface import ArrayInput, ArrayInputs, Interface, Task
from deployopt.core.watching import SILENT
from deployopt.device.device import ThisMachine
from deployopt.device.protocol import EvaluateRequest, SettingRequest, TimeRequest
from deployopt.device.setup import EvaluationSet, Limits, Setup
from deployopt.pipeline.matrix.exclusive import (
    DeviceAlone,
    LeasedStages,
    MachineAlone,
    place_name,
)
from deployopt.store.leases import Held, Lease
from tests.functional.conftest import ROOT
from tests.unit.store.test_leases import overlapping

SETUP = Setup(artifact="0" * 64, model=Path("/m.onnx"), threads=1)
TIMED = TimeRequest(setup=SETUP, feeds=Path("/f.npz"), expected=None, requests=1, min_s=0.0, seed=0)

SETTING = SettingRequest(
    setup=SETUP, prompts=Path("/p.npz"), context=8, tokens=4, batch=1, requests=1, seconds=0.1
)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[Held]:
    """How the lease was held at each request."""
    found: list[Held] = []
    leases: list[Lease] = []
    real = Lease.__init__

    def made(self: Lease, *arguments: object) -> None:
        real(self, *arguments)  # type: ignore[arg-type]
        leases.append(self)

    def asked(*_: object, **__: object) -> tuple[()]:
        found.append(leases[-1].held)
        return ()

    monkeypatch.setattr(Lease, "__init__", made)
    monkeypatch.setattr(ThisMachine, "ask", asked)
    monkeypatch.setattr(ThisMachine, "ask_in_turns", asked)
    return found


def evaluation() -> EvaluateRequest:
    given = ArrayInputs(inputs=(ArrayInput(name="x", dtype="float32", shape=(1,)),))
    asked = EvaluationSet(
        interface=Interface(task=Task.ANY, inputs=given, outputs=("y",)),
        folder=Path("/d"),
        examples=Path("/e.npz"),
    )
    return EvaluateRequest(setup=SETUP, data=asked, result=Path("/a.npz"))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_requests_hold_what_they_need(tmp_path: Path, held: list[Held], *, elsewhere: bool) -> None:
    lease = Lease(tmp_path)
    device = DeviceAlone(ThisMachine(), lease) if elsewhere else MachineAlone(lease)
    device.ask(evaluation(), Limits())
    device.ask(TIMED, Limits())
    device.ask_in_turns([TIMED], Limits())
    lease.share()
    device.ask_in_turns([TIMED], Limits())
    lease.share()
    device.ask(SETTING, Limits())
    assert held == [Held.SHARED, *[Held.ALONE] * 4]
    assert device.machine == ThisMachine().machine


def test_a_timed_stage_is_alone_until_the_next_one(tmp_path: Path) -> None:
    lease = Lease(tmp_path)
    stages = LeasedStages(SILENT, lease, lambda: None)
    seen = []
    for name, quiet in (("Build", False), ("Latency", True), ("Publish", False)):
        stages.stage(name, quiet=quiet)
        seen.append(lease.held)
    assert seen == [Held.SHARED, Held.ALONE, Held.SHARED]


def test_a_stage_lets_those_go_first_who_wait_on_the_builder(tmp_path: Path) -> None:
    here, there = Lease(tmp_path, "here"), Lease(tmp_path, "there")
    here.share()
    stages = LeasedStages(SILENT, there, lambda: None, here)
    stages.stage("Latency", quiet=True)
    assert (here.held, there.held) == (Held.SHARED, Held.ALONE)
    stages.stage("Publish")
    assert (here.held, there.held) == (Held.SHARED, Held.SHARED)


def test_two_addresses_are_two_places() -> None:
    names = {
        place_name(one) for one in ("ssh://pi@a", "ssh://pi@b", "ssh://PI@a", "ssh://[::1]:22")
    }
    assert len(names) == 4
    assert all(name == name.casefold() and "/" not in name for name in names)


CELL = """
import sys, time, random
from pathlib import Path
from deployopt.core.watching import SILENT
from deployopt.device import device
from deployopt.device.setup import Limits
from deployopt.pipeline.matrix.exclusive import LeasedStages, MachineAlone
from deployopt.store.leases import Lease
from tests.unit.pipeline.matrix.test_exclusive import TIMED

folder, log, me = Path(sys.argv[1]), open(sys.argv[2], "a"), sys.argv[3]
dice = random.Random(me)

def span(alone, began):
    log.write(f"{me} {alone} {began} {time.monotonic_ns()}\\n")
    log.flush()

def asked(self, requests, limits, signs=None):
    began = time.monotonic_ns()
    time.sleep(dice.random() * 0.03)
    span(1, began)
    return ()

device.ThisMachine.ask_in_turns = asked
with Lease(folder) as lease:
    machine, stages = MachineAlone(lease), LeasedStages(SILENT, lease, lambda: None)
    for _ in range(4):
        for _ in range(3):
            stages.stage("Build")
            began = time.monotonic_ns()
            time.sleep(dice.random() * 0.03)
            span(0, began)
        stages.stage("Latency", quiet=True)
        for _ in range(4):
            machine.ask_in_turns([TIMED], Limits())
"""


def test_rounds_of_cells_never_overlap_anybodys_work(tmp_path: Path) -> None:
    log = tmp_path / "log"
    running = [
        subprocess.Popen([sys.executable, "-c", CELL, str(tmp_path), str(log), str(n)], cwd=ROOT)
        for n in range(3)
    ]
    assert [process.wait(60) for process in running] == [0] * 3
    spans = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    assert len([one for one in spans if one[1]]) == 3 * 4 * 4
    assert overlapping(spans) == []
    # Rounds of one measurement follow each other: nobody's work comes between them.
    order = [one[0] for one in sorted(spans, key=lambda one: one[2]) if one[1]]
    assert all(len(set(order[at : at + 4])) == 1 for at in range(0, len(order), 4))
