"""Interleaved rounds: simulated ones for the rules, real ones for the path."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.evidence import Evidence
from deployopt.core.measurement import Conditions, Machine, Round
from deployopt.core.quantiles import least_requests
from deployopt.device.accuracy import evaluate, timing_inputs
from deployopt.device.device import Device, Signs, ThisMachine, unheard
from deployopt.device.latency import (
    TURN_S,
    Place,
    Schedule,
    cores_for,
    in_turns,
    measure,
    requests_per_round,
)
from deployopt.device.protocol import Timed, Timing
from deployopt.device.setup import Arm, EvaluationSet, Limits, Setup, TimingInputs
from tests.fakes.devices import MadeUpDevice, idle

ROUND = Round(
    load_s=0.1,
    first_s=0.01,
    warmup_s=(0.01,) * 75,
    steady=True,
    samples_s=(0.001,) * 60,
    peak_rss_bytes=2**26,
    base_rss_bytes=2**25,
    conditions=Conditions(),
    compared=32,
    repeat_ratio=1.0,
)


@pytest.fixture
def place(machine: Machine, tmp_path: Path) -> Place:
    return Place(device=MadeUpDevice(idle, machine), evidence=Evidence.TARGET, workdir=tmp_path)


def _at(place: Place, device: Device) -> Place:
    return msgspec.structs.replace(place, device=device)


def _arms(setup: Setup, count: int = 2) -> list[Arm]:
    inputs = TimingInputs(feeds=({"x": np.zeros((1, 2), dtype=np.float32)},))
    return [
        Arm(setup=msgspec.structs.replace(setup, artifact=str(i)), inputs=inputs)
        for i in range(count)
    ]


def _same(_arm: str, _number: int) -> Round:
    return ROUND


def test_rounds_are_interleaved_ab_ba(text_setup: Setup, place: Place) -> None:
    rounds = MadeUpDevice(_same)
    trials = measure(_arms(text_setup), Schedule(looks=(4,)), _at(place, rounds))
    assert "".join(rounds.asked) == "01100110"
    assert [len(t.rounds) for t in trials] == [4, 4]
    assert [t.artifact for t in trials] == ["0", "1"]
    assert rounds.seeds[0] == rounds.seeds[1] != rounds.seeds[2]


def test_a_void_round_is_void_for_both_and_made_up_for(text_setup: Setup, place: Place) -> None:
    def one_noisy(arm: str, number: int) -> Round:
        return msgspec.structs.replace(ROUND, void="steal" if (arm, number) == ("1", 2) else None)

    first, second = measure(
        _arms(text_setup), Schedule(looks=(5,)), _at(place, MadeUpDevice(one_noisy))
    )
    assert [r.void for r in first.rounds] == [None, "steal", None, None, None, None]
    assert [r.void for r in second.rounds] == [r.void for r in first.rounds]
    assert len(first.counted) == 5


def test_a_machine_that_is_always_noisy_is_given_up(text_setup: Setup, place: Place) -> None:
    def noisy(_arm: str, _number: int) -> Round:
        return msgspec.structs.replace(ROUND, void="steal")

    (trial,) = measure(
        _arms(text_setup, 1), Schedule(looks=(12, 24, 48)), _at(place, MadeUpDevice(noisy))
    )
    assert len(trial.rounds) == 12
    assert trial.counted == ()


def test_a_round_is_never_void_for_its_latency(text_setup: Setup, place: Place) -> None:
    def slow(_arm: str, number: int) -> Round:
        return msgspec.structs.replace(ROUND, samples_s=(1.0 if number == 3 else 0.001,) * 60)

    (trial,) = measure(_arms(text_setup, 1), Schedule(), _at(place, MadeUpDevice(slow)))
    assert len(trial.counted) == 5


def test_looks_are_taken_until_one_decides(text_setup: Setup, place: Place) -> None:
    looked: list[int] = []

    def decided(trials: tuple[object, ...]) -> bool:
        looked.append(len(trials[0].counted))  # type: ignore[attr-defined]
        return looked[-1] == 4

    schedule = Schedule(looks=(2, 4, 8))
    trials = measure(_arms(text_setup), schedule, _at(place, MadeUpDevice(_same)), decided=decided)
    assert looked == [2, 4]
    assert len(trials[0].rounds) == 4


def test_no_round_begins_after_the_time_is_up(text_setup: Setup, place: Place) -> None:
    trials = measure(
        _arms(text_setup), Schedule(looks=(8,), wall_s=-1.0), _at(place, MadeUpDevice(_same))
    )
    assert trials[0].rounds == ()


def test_until_the_first_look_there_is_more_time(text_setup: Setup, place: Place) -> None:
    schedule = Schedule(looks=(3, 8), wall_s=-1.0, first_look_s=60.0)
    trials = measure(_arms(text_setup), schedule, _at(place, MadeUpDevice(_same)))
    assert len(trials[0].rounds) == 3
    hurried = msgspec.structs.replace(schedule, first_look_s=-1.0)
    assert measure(_arms(text_setup), hurried, _at(place, MadeUpDevice(_same)))[0].rounds == ()


def test_an_arm_that_crashes_fails_alone(text_setup: Setup, place: Place) -> None:
    def crashes(arm: str, number: int) -> Round:
        if (arm, number) == ("0", 2):
            raise DeviceError("killed by SIGSEGV")
        return ROUND

    first, second = measure(
        _arms(text_setup), Schedule(looks=(5,)), _at(place, MadeUpDevice(crashes))
    )
    assert (first.failure, len(first.rounds)) == ("killed by SIGSEGV", 1)
    assert (second.failure, len(second.counted)) == (None, 5)


def test_wrong_answers_and_remembered_answers_are_failures(text_setup: Setup, place: Place) -> None:
    def cheats(arm: str, number: int) -> Round:
        if arm == "0":
            return msgspec.structs.replace(ROUND, mismatched=int(number == 3))
        return msgspec.structs.replace(ROUND, repeat_ratio=0.1)

    first, second = measure(
        _arms(text_setup), Schedule(looks=(5,)), _at(place, MadeUpDevice(cheats))
    )
    assert "1 of 32 timed answers" in (first.failure or "")
    assert len(first.rounds) == 3
    assert "remembers answers" in (second.failure or "")


def test_one_lucky_round_accuses_no_one(text_setup: Setup, place: Place) -> None:
    def once(_arm: str, number: int) -> Round:
        return msgspec.structs.replace(ROUND, repeat_ratio=0.3 if number == 1 else 0.9)

    (trial,) = measure(_arms(text_setup, 1), Schedule(), _at(place, MadeUpDevice(once)))
    assert trial.failure is None


def test_requests_a_round_settle_the_strictest_quantile() -> None:
    assert 5 * requests_per_round([0.5, 0.99], 5) >= 2 * least_requests(0.99)
    assert requests_per_round([], 5) >= 1


def test_cores_are_the_last_ones_or_none(machine: Machine) -> None:
    four = msgspec.structs.replace(machine, affinity=(0, 1, 2, 3))
    assert cores_for(four, 2) == (2, 3)
    assert cores_for(four, 5) == ()


def test_arms_take_turns_where_all_of_them_fit_in_memory(text_setup: Setup, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"m" * 2**20)
    (tmp_path / "model.onnx.data").write_bytes(b"d" * 9 * 2**20)
    arms = _arms(msgspec.structs.replace(text_setup, model=model), 3)
    # Three times the runtime's 150 MiB and three copies of 10 MiB.
    needed = 3 * (150 + 3 * 10) * 2**20
    enough = Schedule(limits=Limits(memory_bytes=needed))
    assert in_turns(arms, enough)
    assert not in_turns(arms, Schedule(limits=Limits(memory_bytes=needed - 1)))
    assert not in_turns(arms[:1], enough)
    assert not in_turns(arms, msgspec.structs.replace(enough, arrivals_per_s=5.0))


class _Together(MadeUpDevice):
    """Notes which arms were asked together."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(_same, machine)
        self.together: list[str] = []

    def ask_in_turns(
        self, requests: Sequence[Timing], limits: Limits, signs: Signs = unheard
    ) -> tuple[Timed | DeviceError, ...]:
        assert {request.turn_s for request in requests} == {TURN_S}
        self.together.append("".join(request.setup.artifact for request in requests))
        return super().ask_in_turns(requests, limits, signs)


def test_the_first_of_a_round_changes(text_setup: Setup, place: Place) -> None:
    device = _Together(place.device.machine)
    measure(_arms(text_setup, 3), Schedule(looks=(4,)), _at(place, device))
    assert device.together == ["012", "210", "012", "210"]


def test_an_arm_without_inputs_is_refused(text_setup: Setup, place: Place) -> None:
    with pytest.raises(UsageError):
        measure([Arm(setup=text_setup, inputs=TimingInputs(feeds=()))], Schedule(), place)


def test_real_rounds_in_fresh_processes(
    text_setup: Setup, text_data: EvaluationSet, place: Place, tmp_path: Path
) -> None:
    inputs = timing_inputs(text_data, evaluate(text_setup, text_data, tmp_path, ThisMachine()))
    here = _at(place, ThisMachine())
    schedule = Schedule(looks=(1,), requests=50, min_round_s=0.05)
    trials = measure([Arm(setup=text_setup, inputs=inputs)] * 2, schedule, here)
    for trial in trials:
        assert trial.failure is None
        one = trial.rounds[0]
        assert len(one.samples_s) >= 50
        assert sum(one.samples_s) >= 0.05
        assert one.compared >= 32
        assert one.mismatched == 0
        assert one.repeat_ratio is not None
        assert one.load_s > 0
        assert one.peak_rss_bytes >= one.base_rss_bytes > 2**20
        assert one.conditions.cpu_share is not None


def test_answers_that_are_not_the_accuracy_run_s_are_found_in_a_real_round(
    text_setup: Setup, text_data: EvaluationSet, place: Place, tmp_path: Path
) -> None:
    inputs = timing_inputs(text_data, evaluate(text_setup, text_data, tmp_path, ThisMachine()))
    assert inputs.expected is not None
    other = TimingInputs(
        feeds=inputs.feeds,
        expected=tuple({"logits": e["logits"] + np.float32(0.01)} for e in inputs.expected),
    )
    schedule = Schedule(looks=(1,), requests=50, min_round_s=0.0)
    (trial,) = measure([Arm(setup=text_setup, inputs=other)], schedule, _at(place, ThisMachine()))
    assert "not those of the accuracy run" in (trial.failure or "")
    assert trial.rounds[0].mismatched == trial.rounds[0].compared
