"""How many examples are used: those asked for, or those that fit into the time."""

from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.examples import Examples, decode_examples, encode_examples
from deployopt.core.interface import Interface, Task, TextInputs
from deployopt.device.accuracy import Evaluation
from deployopt.device.setup import EvaluationSet, Setup
from deployopt.remote.emulation import choosing
from deployopt.remote.emulation.choosing import few_examples, first_requests

SETUP = Setup(artifact="a" * 64, model=Path("model.onnx"), threads=1)
INTERFACE = Interface(
    task=Task.TEXT_CLASSIFICATION, inputs=TextInputs(max_length=16), outputs=("logits",)
)


@pytest.fixture
def data(tmp_path: Path) -> EvaluationSet:
    """Twenty labelled texts."""
    examples = Examples(inputs=[f"text {k}" for k in range(20)], labels=(1,) * 20)
    suffix, content = encode_examples(examples)
    (tmp_path / f"all{suffix}").write_bytes(content)
    return EvaluationSet(interface=INTERFACE, folder=tmp_path, examples=tmp_path / f"all{suffix}")


@pytest.fixture
def each_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What a request takes here; one element that a test may change."""
    seconds = [0.001]

    def evaluate(_setup: Setup, data: EvaluationSet, *_: object) -> Evaluation:
        count = len(decode_examples(data.examples))
        return Evaluation(
            outputs=({},) * count,
            examples=count,
            non_finite=0,
            peak_rss_bytes=1,
            base_rss_bytes=1,
            seconds=seconds[0] * count,
        )

    monkeypatch.setattr(choosing, "evaluate", evaluate)
    return seconds


@pytest.mark.usefixtures("each_s")
def test_the_first_ones(tmp_path: Path, data: EvaluationSet) -> None:
    few = few_examples(SETUP, data, 8, 300.0, tmp_path)
    assert (few.here.examples, few.available) == (8, 20)
    chosen = decode_examples(few.data.examples)
    assert list(chosen.inputs) == [f"text {k}" for k in range(8)]
    assert chosen.labels == (1,) * 8
    counted = first_requests(few.data, 3, tmp_path)
    assert len(decode_examples(counted.examples)) == 3
    assert first_requests(few.data, 3, tmp_path) == counted


@pytest.mark.usefixtures("each_s")
def test_no_more_than_there_are(tmp_path: Path, data: EvaluationSet) -> None:
    assert few_examples(SETUP, data, 50, 300.0, tmp_path).here.examples == 20


def test_fewer_of_a_slow_model(tmp_path: Path, data: EvaluationSet, each_s: list[float]) -> None:
    each_s[0] = 0.1
    assert few_examples(SETUP, data, 8, 100.0, tmp_path).here.examples == 1
    assert few_examples(SETUP, data, 8, 150.0, tmp_path).here.examples == 2


def test_a_model_that_is_too_slow_is_refused(
    tmp_path: Path, data: EvaluationSet, each_s: list[float]
) -> None:
    each_s[0] = 2.0
    with pytest.raises(UsageError, match=r"2.00 s on this machine.*300 times slower.*0\.3 billion"):
        few_examples(SETUP, data, 8, 300.0, tmp_path)
