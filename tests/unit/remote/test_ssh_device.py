"""What a device does that is not one, over a program in ssh's place."""

from pathlib import Path

import numpy as np
import pytest

from deployopt.core.errors import IntegrityError, UnreachableError
from deployopt.core.evidence import Evidence
from deployopt.core.samples import decode_samples, encode_samples
from deployopt.device.latency import Place, Schedule, measure
from deployopt.device.protocol import Timed, TimeRequest
from deployopt.device.setup import Arm, Limits, Setup, TimingInputs
from deployopt.remote import ssh_device
from deployopt.remote.ssh_device import connected
from tests.unit.remote.conftest import StandIn

MODEL = Path(__file__).parents[2] / "assets/text.onnx"


@pytest.fixture
def request_of_a_round(tmp_path: Path) -> TimeRequest:
    ids = np.ones((1, 8), dtype=np.int64)
    path = tmp_path / "feeds.npz"
    path.write_bytes(encode_samples([{"input_ids": ids, "attention_mask": ids}] * 40))
    setup = Setup(artifact="a" * 64, model=MODEL, threads=1, outputs=("logits",))
    return TimeRequest(setup=setup, feeds=path, expected=None, requests=30, min_s=0.1, seed=1)


def test_an_answer_to_another_question_is_refused(
    stand_in: StandIn, request_of_a_round: TimeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connected("ssh://board") as device:
        assert isinstance(device.ask(request_of_a_round, Limits()), Timed)
        monkeypatch.setattr(ssh_device, "bound_to", lambda *_: "0" * 64)
        with pytest.raises(IntegrityError, match="not of the files that were asked about"):
            device.ask(request_of_a_round, Limits())
        monkeypatch.undo()
    assert len(stand_in.calls) == 1
    assert list((stand_in.root / "runs").iterdir()) == []


def test_a_connection_that_cannot_be_made_again(
    stand_in: StandIn, request_of_a_round: TimeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_device, "DELAYS_S", (0.0, 0.0))
    with connected("ssh://board") as device:
        device._first.link._process.kill()
        monkeypatch.setenv("SSH_STAND_IN", "echo 'Connection timed out' >&2; exit 255")
        with pytest.raises(
            UnreachableError, match="could not be reached again: Connection timed out"
        ):
            device.ask(request_of_a_round, Limits())
    assert len(stand_in.calls) == 3


def test_a_device_that_is_lost_is_no_failure_of_what_it_measured(
    stand_in: StandIn,
    request_of_a_round: TimeRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(ssh_device, "DELAYS_S", (0.0,))
    feeds = tuple(decode_samples(request_of_a_round.feeds))
    arm = Arm(setup=request_of_a_round.setup, inputs=TimingInputs(feeds=feeds))
    schedule = Schedule(looks=(1,), requests=30, min_round_s=0.0)
    with connected("ssh://board") as device:
        place = Place(device=device, evidence=Evidence.TARGET, workdir=tmp_path)
        (trial,) = measure([arm], schedule, place)
        assert len(trial.rounds) >= 1
        device._first.link._process.kill()
        monkeypatch.setenv("SSH_STAND_IN", "exit 255")
        with pytest.raises(UnreachableError):
            measure([arm], schedule, place)
    assert len(stand_in.calls) == 2


def test_a_key_that_changes_while_it_is_away_is_not_tried_twice(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_device, "DELAYS_S", (0.0, 0.0))
    with connected("ssh://board") as device:
        device._first.link._process.kill()
        said = "echo 'REMOTE HOST IDENTIFICATION HAS CHANGED' >&2; exit 255"
        monkeypatch.setenv("SSH_STAND_IN", said)
        with pytest.raises(UnreachableError, match="is not the one that this machine knows"):
            device.limits()
    assert len(stand_in.calls) == 2


def test_a_program_that_dies_there_is_said_with_its_last_words(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_STAND_IN", "echo 'Illegal instruction' >&2; exit 132")
    reaching = connected("ssh://board")
    with pytest.raises(UnreachableError, match=r"exit code 132\): Illegal instruction"):
        reaching.__enter__()
    assert len(stand_in.calls) == 1
