"""Predicting with a bundle."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.errors import DeviceError, IntegrityError, UsageError
from deployopt.core.examples import decode_examples
from deployopt.core.interface import Interface, Task, TextInputs
from deployopt.device.accuracy import evaluate
from deployopt.device.device import ThisMachine
from deployopt.device.reference import reference_of
from deployopt.device.run import Predictor, shares_of
from deployopt.device.setup import EvaluationSet, Setup

Make = Callable[..., Path]
CLASSIFIER = Interface(
    task=Task.TEXT_CLASSIFICATION, inputs=TextInputs(max_length=8), outputs=("logits",)
)


def test_labels_are_those_of_the_accuracy_run(
    make_bundle: Make, text_setup: Setup, text_data: EvaluationSet, tmp_path: Path
) -> None:
    predictor = Predictor.open(make_bundle())
    texts = [str(text) for text in decode_examples(text_data.examples).inputs]
    found = predictor.predict(texts)
    outputs = evaluate(text_setup, text_data, tmp_path, ThisMachine()).outputs
    classes = reference_of(text_data.interface, outputs).classes
    assert classes is not None
    assert [p.label for p in found] == [("bad", "good")[c] for c in classes]
    assert all(abs(sum(p.scores.values()) - 1) < 1e-9 for p in found)
    assert all(p.score == max(p.scores.values()) for p in found)


def test_a_changed_bundle_does_not_answer(make_bundle: Make) -> None:
    bundle = make_bundle()
    (bundle / "tokenizer.json").write_text("{}")
    with pytest.raises(IntegrityError):
        Predictor.open(bundle)


def test_inputs_of_another_kind_are_refused(make_bundle: Make) -> None:
    predictor = Predictor.open(make_bundle())
    with pytest.raises(UsageError, match="list"):
        predictor.predict("a text")
    with pytest.raises(UsageError, match="takes text"):
        predictor.predict([np.zeros(3)])
    assert predictor.predict([]) == []


def test_softmax_is_stable_and_refuses_what_is_not_finite() -> None:
    logits = np.array([1000.0, 1000.0, -1000.0], dtype=np.float32)
    np.testing.assert_allclose(shares_of(CLASSIFIER, logits), [0.5, 0.5, 0.0])
    apart = msgspec.structs.replace(CLASSIFIER, apart=True)
    np.testing.assert_allclose(shares_of(apart, logits), [1.0, 1.0, 0.0])
    np.testing.assert_allclose(shares_of(apart, np.zeros(2, np.float32)), [0.5, 0.5])
    for interface in (CLASSIFIER, apart):
        with pytest.raises(DeviceError, match="not finite"):
            shares_of(interface, np.array([np.nan, 0.0], dtype=np.float32))


@pytest.mark.openvino
def test_a_bundle_for_openvino_answers_alike(make_bundle: Make, text_openvino: Path) -> None:
    bundle = make_bundle(openvino=text_openvino)
    (found,) = Predictor.open(bundle).predict(["a warm, funny film"])
    assert found.label in {"bad", "good"}
    assert found.score == max(found.scores.values())
