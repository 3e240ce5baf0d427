"""The step that packs weights: small files of the precision they say, that the runtime reads."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.core.samples import decode_samples
from deployopt.graph.precision import precision_found
from deployopt.steps.quantize_weights import QuantizeWeights

Contexts = Callable[[], StepContext]


def answers(artifact: Artifact, samples: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(artifact.path, providers=["CPUExecutionProvider"])
    found = [session.run(["logits"], feed)[0] for feed in decode_samples(samples)]
    return np.concatenate(found)


@pytest.mark.parametrize(
    ("step", "precision", "error"),
    [
        (QuantizeWeights(), Precision.INT4, 0.3),
        (QuantizeWeights(block=128, embeddings=False), Precision.INT4, 0.3),
        (QuantizeWeights(bits=8), Precision.INT8, 0.03),
    ],
)
def test_the_runtime_answers_nearly_as_before(
    step: QuantizeWeights,
    precision: Precision,
    error: float,
    float_graph: Artifact,
    context: Contexts,
    samples: Path,
) -> None:
    before, where = float_graph.path.read_bytes(), context()
    step.requires(float_graph, where)
    made = step.run(float_graph, where)
    assert (made.precision, precision_found(made.path)) == (precision, precision)
    assert [path.name for path in where.workdir.iterdir()] == ["model.onnx"]
    assert float_graph.path.read_bytes() == before
    expected = answers(float_graph, samples)
    change = np.abs(answers(made, samples) - expected).max() / np.abs(expected).max()
    assert 0 < change < error


def test_the_file_is_small_and_always_the_same(float_graph: Artifact, context: Contexts) -> None:
    one, two = (QuantizeWeights().run(float_graph, context()).path.read_bytes() for _ in "ab")
    assert one == two
    assert len(one) < float_graph.path.stat().st_size / 3.9


def test_what_cannot_be_quantized_is_refused(float_graph: Artifact, context: Contexts) -> None:
    for change, said in (
        ({"precision": Precision.INT4}, "quantized already"),
        ({"format": Format.TRANSFORMERS}, "onnx form"),
    ):
        with pytest.raises(StepError, match=said):
            QuantizeWeights().requires(msgspec.structs.replace(float_graph, **change), context())
    with pytest.raises(StepError, match="blocks of 16"):
        QuantizeWeights(block=48).requires(float_graph, context())
    with pytest.raises(StepError, match="The float form stands"):
        QuantizeWeights(exclude=("*",)).run(float_graph, context())
