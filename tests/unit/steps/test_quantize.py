"""The quantizing steps: what they refuse, what they write, what they say they found."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnxruntime
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.core.samples import decode_samples
from deployopt.steps.quantize import Calibration, QuantizeDynamic, QuantizeStatic

Contexts = Callable[[], StepContext]
STEPS = [QuantizeDynamic(), QuantizeStatic()]


@pytest.mark.parametrize("step", STEPS)
def test_int8_is_found_in_what_was_written(
    step: QuantizeDynamic | QuantizeStatic, float_graph: Artifact, context: Contexts
) -> None:
    before, where = float_graph.path.read_bytes(), context()
    step.requires(float_graph, where)
    made = step.run(float_graph, where)
    assert made.precision is Precision.INT8
    assert [path.name for path in where.workdir.iterdir()] == ["model.onnx"]
    assert float_graph.path.read_bytes() == before
    assert made.notes[0] == "As it came."


def test_the_dynamic_file_is_small(float_graph: Artifact, context: Contexts) -> None:
    made = QuantizeDynamic().run(float_graph, context())
    assert made.path.stat().st_size < float_graph.path.stat().st_size / 3.5


@pytest.mark.parametrize("step", STEPS)
def test_the_same_source_gives_the_same_bytes(
    step: QuantizeDynamic | QuantizeStatic, float_graph: Artifact, context: Contexts
) -> None:
    one, two = (step.run(float_graph, context()).path.read_bytes() for _ in "ab")
    assert one == two


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("precision", [Precision.INT8, Precision.MIXED])
def test_what_is_quantized_already_is_refused(
    step: QuantizeDynamic | QuantizeStatic,
    precision: Precision,
    float_graph: Artifact,
    context: Contexts,
) -> None:
    source = msgspec.structs.replace(float_graph, precision=precision)
    with pytest.raises(StepError, match="quantized already"):
        step.requires(source, context())


@pytest.mark.parametrize("step", STEPS)
def test_another_format_is_refused(
    step: QuantizeDynamic | QuantizeStatic, float_graph: Artifact, context: Contexts
) -> None:
    source = msgspec.structs.replace(float_graph, format=Format.TRANSFORMERS)
    with pytest.raises(StepError, match="onnx form"):
        step.requires(source, context())


def test_static_needs_samples_that_exist(
    float_graph: Artifact, context: Contexts, tmp_path: Path
) -> None:
    for samples, said in ((None, "Add --data"), (tmp_path / "gone.npz", r"not at .*gone\.npz")):
        where = msgspec.structs.replace(context(), samples=samples)
        with pytest.raises(StepError, match=said):
            QuantizeStatic().requires(float_graph, where)


@pytest.mark.parametrize("step", [QuantizeStatic(percentile=50), QuantizeStatic(samples=0)])
def test_options_out_of_range_are_refused(
    step: QuantizeStatic, float_graph: Artifact, context: Contexts
) -> None:
    with pytest.raises(StepError, match="percentile over 90"):
        step.requires(float_graph, context())


@pytest.mark.parametrize("calibration", ["minmax", "percentile", "entropy", "mse"])
def test_each_calibration_makes_an_int8_model_of_its_own(
    calibration: Calibration, float_graph: Artifact, context: Contexts
) -> None:
    made = QuantizeStatic(calibration=calibration, percentile=99.0).run(float_graph, context())
    assert made.precision is Precision.INT8
    others = QuantizeStatic(calibration=calibration, percentile=95.0).run(float_graph, context())
    same = made.path.read_bytes() == others.path.read_bytes()
    assert same is (calibration != "percentile")


def test_the_runtime_keeps_in_float_what_is_excluded(
    float_graph: Artifact, context: Contexts, samples: Path
) -> None:
    """By itself it would quantize the weights of a Gemm that stands between Q/DQ pairs."""
    random = np.random.default_rng(0)
    model = onnx.load(float_graph.path)
    for name, width in (("one", 128), ("two", 128)):
        weight = (random.standard_normal((128, width)) / 12).astype(np.float32)
        # One scale for all of this weight leaves nothing of it.
        weight[5, 5] = 3e4 if name == "two" else weight[5, 5]
        bias = np.zeros(width, np.float32)
        for part, array in (("w", weight), ("b", bias)):
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, f"{name}.{part}"))
    nodes = [
        onnx.helper.make_node("Gemm", ["mean", "one.w", "one.b"], ["h1"], name="one"),
        onnx.helper.make_node("Gemm", ["h1", "two.w", "two.b"], ["h2"], name="two"),
    ]
    for node in reversed(nodes):
        model.graph.node.insert(len(model.graph.node) - 1, node)
    model.graph.node[-1].input[0] = "h2"
    float_graph.path.write_bytes(model.SerializeToString())
    made = QuantizeStatic(exclude=("two",)).run(float_graph, context())

    def answers(artifact: Artifact, optimizers: tuple[str, ...]) -> np.ndarray:
        session = onnxruntime.InferenceSession(
            artifact.path, providers=["CPUExecutionProvider"], disabled_optimizers=list(optimizers)
        )
        feeds = decode_samples(samples)
        return np.concatenate([session.run(["logits"], feed)[0] for feed in feeds])

    expected = answers(float_graph, ())
    shipped = answers(made, made.session.disabled_optimizers)
    assert np.abs(shipped - expected).max() < 0.1 * np.abs(expected).max()


def test_nothing_to_quantize_is_an_error(float_graph: Artifact, context: Contexts) -> None:
    with pytest.raises(StepError, match="The float form stands"):
        QuantizeDynamic(exclude=("*",)).run(float_graph, context())
