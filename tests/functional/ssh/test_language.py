"""A language model on a device over a real sshd says what it says here."""

from pathlib import Path

import numpy as np
import pytest

from deployopt.core.evidence import Evidence
from deployopt.core.samples import decode_samples
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.device import ThisMachine
from deployopt.device.generating.bundled import prompts_of_bundle, scored_bundle
from deployopt.device.generating.sweeping import Sweep, sweep
from deployopt.device.latency import Place, Schedule, measure
from deployopt.device.setup import Arm
from deployopt.remote.ssh_device import connected
from tests.fakes.judged_decoders import TIMED, make_judged_bundle
from tests.fakes.sshd import MISSING, Sshd, there_is_sshd

pytestmark = pytest.mark.skipif(not there_is_sshd(), reason=MISSING)


def test_scores_and_rounds_there_are_those_here(client: Sshd, tmp_path: Path) -> None:
    bundle = open_bundle(make_judged_bundle(tmp_path / "bundle"))
    questions = prompts_of_bundle(bundle)
    assert questions is not None
    assert len(decode_samples(questions.timed)) == TIMED
    here = scored_bundle(bundle, questions, ThisMachine(), tmp_path).scored
    with connected(client.url, arch=ThisMachine().machine.arch) as device:
        found = scored_bundle(bundle, questions, device, tmp_path)
        assert np.allclose(found.scored.nll, here.nll)
        assert found.scored.chosen == here.chosen
        assert found.scored.answers == here.answers
        arms = [Arm(setup=bundle.setup_on(device.machine), inputs=found.pool)] * 2
        schedule = Schedule(looks=(1,), requests=6, min_round_s=0.0, answering=found.answering)
        place = Place(device=device, evidence=Evidence.PROXY, workdir=tmp_path)
        for trial in measure(arms, schedule, place):
            assert trial.failure is None
            assert all(one.answers is not None for one in trial.rounds)
        text = np.concatenate([f["input_ids"].reshape(-1) for f in found.pool.prompts])
        asked = Sweep(setup=arms[0].setup, text=text, answering=found.answering, seconds=30.0)
        settings = sweep(asked, device, tmp_path, device.limits())
        assert [one.left_out for one in settings] == [""] * 6
        assert all(one.round is not None and not one.round.mismatched for one in settings)
