"""What the model must answer; `pytest --deployopt-bundle BUNDLE` adds a test a budget."""

import pytest

from deployopt.device.run import Predictor


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("a warm, funny and touching film", "positive"),
        ("dull, slow and far too long", "negative"),
    ],
)
def test_it_answers(deployopt_bundle: Predictor, text: str, label: str) -> None:
    (answer,) = deployopt_bundle.predict([text])
    assert answer.label == label
