"""The step that rewrites: files in, files out, the source untouched."""

from collections.abc import Callable

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.steps.optimize import Optimize

Contexts = Callable[[], StepContext]


def test_it_writes_one_file_and_leaves_the_source(float_graph: Artifact, context: Contexts) -> None:
    before, where = float_graph.path.read_bytes(), context()
    Optimize().requires(float_graph, where)
    made = Optimize().run(float_graph, where)
    assert [path.name for path in where.workdir.iterdir()] == ["model.onnx"]
    assert float_graph.path.read_bytes() == before
    assert (made.format, made.precision, made.digest) == (Format.ONNX, Precision.FP32, "")
    assert made.session.disabled_optimizers == ("SkipLayerNormFusion",)
    assert made.notes[0] == "As it came."
    assert made.notes[1].startswith("1 groups of matrix products")


def test_the_same_source_gives_the_same_bytes(float_graph: Artifact, context: Contexts) -> None:
    one, two = (Optimize().run(float_graph, context()).path.read_bytes() for _ in "ab")
    assert one == two


def test_merging_can_be_left_out(float_graph: Artifact, context: Contexts) -> None:
    made = Optimize(merge_qkv=False).run(float_graph, context())
    assert made.notes[-1].startswith("0 groups")


def test_another_format_is_refused_before_anything_runs(
    float_graph: Artifact, context: Contexts
) -> None:
    source = msgspec.structs.replace(float_graph, format=Format.TRANSFORMERS)
    with pytest.raises(StepError, match="takes a model in onnx form"):
        Optimize().requires(source, context())
