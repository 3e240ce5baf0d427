"""A device over a real sshd answers what this machine answers, and is left clean."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.errors import (
    DeployoptError,
    DeviceError,
    IntegrityError,
    UsageError,
)
from deployopt.device.accuracy import evaluate
from deployopt.device.device import ThisMachine
from deployopt.device.protocol import Timed, Working
from deployopt.device.setup import EvaluationSet, Limits
from deployopt.remote.ssh_device import connected
from tests.fakes.ssh_rounds import SETUP, is_clean, round_of
from tests.fakes.sshd import MISSING, Sshd, there_is_sshd, wait_for

pytestmark = pytest.mark.skipif(not there_is_sshd(), reason=MISSING)


def test_it_answers_what_this_machine_answers_and_is_left_clean(
    client: Sshd, data: EvaluationSet, tmp_path: Path
) -> None:
    here = evaluate(SETUP, data, tmp_path, ThisMachine())
    with connected(client.url, arch=ThisMachine().machine.arch) as device:
        there = evaluate(SETUP, data, tmp_path, device)
        assert device.where == client.url
        assert device.machine.cpu == ThisMachine().machine.cpu
        assert device.limits().memory_bytes
        reply = device.ask(round_of(tmp_path), Limits())
        assert isinstance(reply, Timed)
        assert len(reply.round.samples_s) >= 30
        assert reply.round.conditions.cpu_share is not None
    assert there.examples == 60
    for ours, theirs in zip(here.outputs, there.outputs, strict=True):
        assert np.array_equal(ours["logits"], theirs["logits"])
    wait_for(lambda: is_clean(client))
    assert not list((tmp_path / "home").rglob("*.partial"))


@pytest.mark.slow
def test_only_what_is_missing_is_sent(client: Sshd, data: EvaluationSet, tmp_path: Path) -> None:
    signs: list[str] = []

    def listen(sign: Working) -> None:
        signs.append(sign.what)

    for _ in range(2):
        with connected(client.url) as device:
            device.ask(round_of(tmp_path), Limits(), listen)
            before = len([what for what in signs if "sending" in what])
            device.ask(round_of(tmp_path), Limits(), listen)
    assert len([what for what in signs if "sending" in what]) == before
    evaluate(SETUP, data, tmp_path, ThisMachine())


def test_children_there_take_turns_and_fail_alone(client: Sshd, tmp_path: Path) -> None:
    one = msgspec.structs.replace(round_of(tmp_path), turn_s=0.02)
    lame = msgspec.structs.replace(one, setup=msgspec.structs.replace(SETUP, outputs=("none",)))
    with connected(client.url) as device:
        first, second = device.ask_in_turns([one, one], Limits())
        assert isinstance(first, Timed)
        assert isinstance(second, Timed)
        assert min(len(reply.round.samples_s) for reply in (first, second)) >= 30
        with pytest.raises(IntegrityError, match="no output"):
            device.ask_in_turns([one, lame], Limits())
        replies = device.ask_in_turns([one, one], Limits(memory_bytes=2**20))
        assert [type(reply) for reply in replies] == [DeviceError, DeviceError]
        assert isinstance(device.ask(round_of(tmp_path), Limits()), Timed)
    wait_for(lambda: is_clean(client))


@pytest.mark.slow
def test_what_a_child_there_finds_wrong_is_an_error_here(client: Sshd, tmp_path: Path) -> None:
    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"not a model")
    request = round_of(tmp_path)
    wrong = msgspec.structs.replace(SETUP, model=broken)
    with connected(client.url) as device:
        with pytest.raises(DeployoptError, match="model"):
            device.ask(msgspec.structs.replace(request, setup=wrong), Limits())
        # The same connection goes on.
        assert isinstance(device.ask(request, Limits()), Timed)


def test_another_architecture_is_refused_before_anything_is_sent(client: Sshd) -> None:
    other = "aarch64" if ThisMachine().machine.arch != "aarch64" else "x86_64"
    reaching = connected(client.url, arch=other)
    with pytest.raises(UsageError, match=f"the target is {other}") as caught:
        reaching.__enter__()
    assert "Nothing was installed" in str(caught.value)
    wait_for(lambda: is_clean(client))
