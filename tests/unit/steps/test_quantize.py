"""The quantizing steps: what they refuse, what they write, what they say they found."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.steps.quantize import QuantizeDynamic, QuantizeStatic

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


def test_nothing_to_quantize_is_an_error(float_graph: Artifact, context: Contexts) -> None:
    with pytest.raises(StepError, match="The float form stands"):
        QuantizeDynamic(exclude=("*",)).run(float_graph, context())
