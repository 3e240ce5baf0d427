"""The gate of a language model's bundle, asked for real."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.choice_accuracy import choice_accuracy
from deployopt.core.choices import choice_of
from deployopt.core.errors import IntegrityError, RefusedInputError
from deployopt.core.evidence import Evidence
from deployopt.core.interface import ArrayInputs
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.device import ThisMachine
from deployopt.device.generating.bundled import prompts_of_bundle, scored_bundle
from tests.fakes.decoders import TinyDecoder
from tests.fakes.judged_decoders import (
    ASKED,
    DOCUMENTS,
    TIMED,
    choice_likelihoods,
    draw_questions,
    make_judged_bundle,
)


def test_the_model_is_paired_with_its_kept_reference(tmp_path: Path) -> None:
    other = TinyDecoder()
    other.table += 0.5 * TinyDecoder(seed=9).table
    bundle = open_bundle(make_judged_bundle(tmp_path / "bundle", reference=other))
    questions = prompts_of_bundle(bundle)
    assert questions is not None
    found = scored_bundle(bundle, questions, ThisMachine(), tmp_path)
    trial = found.trial(Evidence.PROXY, exact_arithmetic=True)
    assert len(trial.documents) == DOCUMENTS
    assert len(trial.answers) == ASKED
    assert len(found.pool.prompts) == len(found.pool.expected or ()) == TIMED
    nll = sum(one.candidate_nll for one in trial.documents)
    assert nll != pytest.approx(sum(one.reference_nll for one in trial.documents), rel=1e-3)
    agreed = sum(one.agreed for one in trial.answers)
    assert 0 < agreed < sum(one.tokens for one in trial.answers)


@pytest.mark.parametrize("name", ["gate/reference.npz", "gate/timed.npz", "gate/prompts.npz"])
def test_without_one_of_its_files_there_is_no_gate(tmp_path: Path, name: str) -> None:
    bundle = open_bundle(make_judged_bundle(tmp_path / "bundle", without=name))
    assert prompts_of_bundle(bundle) is None


def test_what_does_not_say_how_it_is_asked_is_refused(tmp_path: Path) -> None:
    bundle = open_bundle(make_judged_bundle(tmp_path / "bundle"))
    questions = prompts_of_bundle(bundle)
    assert questions is not None
    interface = msgspec.structs.replace(bundle.manifest.interface, inputs=ArrayInputs(inputs=()))
    manifest = msgspec.structs.replace(bundle.manifest, interface=interface)
    odd = msgspec.structs.replace(bundle, manifest=manifest)
    with pytest.raises(IntegrityError, match="how its language model is asked"):
        scored_bundle(odd, questions, ThisMachine(), tmp_path)


def test_questions_are_asked_again_and_paired(tmp_path: Path) -> None:
    other = TinyDecoder()
    other.table += 0.8 * TinyDecoder(seed=9).table
    bundle = open_bundle(make_judged_bundle(tmp_path / "bundle", reference=other, questions=60))
    questions = prompts_of_bundle(bundle)
    assert questions is not None
    found = scored_bundle(bundle, questions, ThisMachine(), tmp_path)
    asked = choice_accuracy(found.trial(Evidence.PROXY, exact_arithmetic=True))
    assert asked is not None
    assert (asked.examples, asked.guessing) == (60, 0.25)
    assert asked.reference_accuracy == 0.75
    assert 0 < asked.lost < 45
    by_hand = [
        choice_of(choice_likelihoods(TinyDecoder(), one), one) for one in draw_questions(other, 60)
    ]
    trial = found.trial(Evidence.PROXY, exact_arithmetic=True)
    assert [one.candidate for one in trial.questions] == by_hand


def test_questions_without_the_reference_s_answers_are_refused(tmp_path: Path) -> None:
    bundle = open_bundle(make_judged_bundle(tmp_path / "bundle", questions=8))
    questions = prompts_of_bundle(bundle)
    assert questions is not None
    without = msgspec.structs.replace(questions, choices=None)
    found = scored_bundle(bundle, without, ThisMachine(), tmp_path)
    with pytest.raises(RefusedInputError, match="same questions"):
        found.trial(Evidence.PROXY, exact_arithmetic=True)
