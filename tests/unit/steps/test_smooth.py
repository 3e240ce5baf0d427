"""The step that smooths: files in, files out, the source untouched."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnx.helper as make
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.steps.quantize import QuantizeDynamic
from deployopt.steps.smooth import Smooth

Contexts = Callable[[], StepContext]


@pytest.fixture
def normed(float_graph: Artifact) -> Artifact:
    """The float graph with a layer norm behind its lookup."""
    model = onnx.load(float_graph.path)
    random = np.random.default_rng(3)
    for name in ("norm.scale", "norm.shift"):
        array = random.standard_normal(128).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    model.graph.node[0].output[0] = "looked"
    norm = make.make_node("LayerNormalization", ["looked", "norm.scale", "norm.shift"], ["x"])
    model.graph.node.insert(1, norm)
    float_graph.path.write_bytes(model.SerializeToString())
    return float_graph


def test_it_writes_one_float_file_and_leaves_the_source(
    normed: Artifact, context: Contexts
) -> None:
    before, where = normed.path.read_bytes(), context()
    Smooth().requires(normed, where)
    made = Smooth().run(normed, where)
    assert [path.name for path in where.workdir.iterdir()] == ["model.onnx"]
    assert normed.path.read_bytes() == before != made.path.read_bytes()
    assert (made.format, made.precision, made.digest) == (Format.ONNX, Precision.FP32, "")
    assert made.notes == (
        "As it came.",
        "1 layer norms were smoothed: 1 in their own scales, 0 by a product behind them.",
    )


def test_the_same_source_gives_the_same_bytes(normed: Artifact, context: Contexts) -> None:
    one, two = (Smooth().run(normed, context()).path.read_bytes() for _ in "ab")
    assert one == two


def test_a_quantizer_takes_what_it_gives(normed: Artifact, context: Contexts) -> None:
    made = QuantizeDynamic().run(Smooth().run(normed, context()), context())
    assert made.precision is Precision.INT8


def test_a_graph_without_norms_is_an_error(float_graph: Artifact, context: Contexts) -> None:
    with pytest.raises(StepError, match="Leave the step out"):
        Smooth().run(float_graph, context())


@pytest.mark.parametrize("step", [Smooth(alpha=-0.1), Smooth(alpha=1.5), Smooth(samples=0)])
def test_options_out_of_range_are_refused(
    step: Smooth, normed: Artifact, context: Contexts
) -> None:
    with pytest.raises(StepError, match="alpha from 0 to 1"):
        step.requires(normed, context())


def test_samples_and_float_weights_are_needed(
    normed: Artifact, context: Contexts, tmp_path: Path
) -> None:
    for samples, said in ((None, "Add --data"), (tmp_path / "gone.npz", "not at")):
        with pytest.raises(StepError, match=said):
            Smooth().requires(normed, msgspec.structs.replace(context(), samples=samples))
    with pytest.raises(StepError, match="quantized already"):
        Smooth().requires(msgspec.structs.replace(normed, precision=Precision.INT4), context())
