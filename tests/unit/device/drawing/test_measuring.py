"""A pipeline through the child that measures: drawn, judged, timed, counted."""

from pathlib import Path

import numpy as np
import pytest

from deployopt.core.evidence import Evidence
from deployopt.core.examples import Examples, encode_examples
from deployopt.core.image_drift import ImageDrift
from deployopt.core.measurement import Split
from deployopt.core.samples import Array, encode_samples
from deployopt.device.accuracy import (
    Evaluation,
    Judged,
    compare_with_reference,
    evaluate,
    timing_inputs,
)
from deployopt.device.child import answer
from deployopt.device.device import ThisMachine
from deployopt.device.onnx_operators import operators_of
from deployopt.device.protocol import Timed, TimeRequest
from deployopt.device.reference import reference_of
from deployopt.device.setup import EvaluationSet, Setup
from tests.fakes.drawing_graphs import DRAWS, write_graphs, write_words

PROMPTS = ("b c", "d", "e f g", "a a b", "c d")


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    model = write_graphs(tmp_path / "model")
    return Setup(artifact="d", model=model, threads=1, outputs=DRAWS.outputs)


@pytest.fixture
def data(tmp_path: Path) -> EvaluationSet:
    write_words(tmp_path)
    suffix, content = encode_examples(Examples(inputs=PROMPTS, labels=None))
    path = tmp_path / f"examples{suffix}"
    path.write_bytes(content)
    return EvaluationSet(interface=DRAWS, folder=tmp_path, examples=path)


@pytest.fixture
def evaluation(setup: Setup, data: EvaluationSet, tmp_path: Path) -> Evaluation:
    return evaluate(setup, data, tmp_path, ThisMachine())


def judged(labels: tuple[int, ...] | None = None) -> Judged:
    return Judged(
        artifact="d", split=Split.GATE, evidence=Evidence.TARGET, interface=DRAWS, labels=labels
    )


def test_a_fresh_child_draws_every_prompt(evaluation: Evaluation) -> None:
    assert len(evaluation.outputs) == len(PROMPTS)
    for one in evaluation.outputs:
        assert one["image"].shape == (1, 3, 8, 12)
        assert one["seconds"].shape == (3,)
    trial = compare_with_reference(judged(), reference_of(DRAWS, evaluation.outputs), evaluation)
    assert (trial.examples, trial.lost, trial.labelled) == (5, 0, False)
    assert isinstance(trial.drift, ImageDrift)
    assert trial.drift.worst == 0.0
    assert sum(trial.drift.parts_s.values()) > 0


def test_an_image_that_is_another_one_is_lost(evaluation: Evaluation) -> None:
    spoilt: list[dict[str, Array]] = [dict(one) for one in evaluation.outputs]
    spoilt[3]["image"] = -spoilt[3]["image"]
    trial = compare_with_reference(judged(), reference_of(DRAWS, spoilt), evaluation)
    assert (trial.both_right, trial.lost) == (4, 1)
    assert isinstance(trial.drift, ImageDrift)
    assert trial.drift.worst == pytest.approx(2.0)


def test_it_is_timed_with_a_few_and_warm_after_three_images(
    setup: Setup, data: EvaluationSet, evaluation: Evaluation, tmp_path: Path
) -> None:
    inputs = timing_inputs(data, evaluation)
    assert len(inputs.feeds) == 3
    assert inputs.expected is not None
    assert all(set(one) == {"image"} for one in inputs.expected)
    feeds, expected = tmp_path / "feeds.npz", tmp_path / "expected.npz"
    feeds.write_bytes(encode_samples(inputs.feeds))
    expected.write_bytes(encode_samples(inputs.expected))
    request = TimeRequest(
        setup=setup, feeds=feeds, expected=expected, requests=4, min_s=0.0, seed=0
    )
    found = answer(request, lambda _: None)
    assert isinstance(found, Timed)
    assert 3 <= len(found.round.warmup_s) <= 10
    assert len(found.round.samples_s) == 4
    assert (found.round.compared, found.round.mismatched) == (7, 0)


def test_operators_are_those_of_all_three(setup: Setup) -> None:
    found = operators_of(setup.model)
    assert found["Gather"] == found["Resize"] == found["ReduceMean"] == 1
    assert sum(found.values()) == 7


def test_what_is_drawn_depends_on_the_prompt_alone(evaluation: Evaluation) -> None:
    first, second = (evaluation.outputs[at]["image"] for at in (0, 1))
    assert not np.allclose(first, second)
