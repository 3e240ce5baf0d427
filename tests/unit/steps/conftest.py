"""A small text graph as an artifact, samples for it, and a context to work in."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.interface import Interface, Task, TextInputs
from deployopt.core.recipe import StepContext
from deployopt.core.samples import encode_samples

INTERFACE = Interface(
    task=Task.TEXT_CLASSIFICATION,
    inputs=TextInputs(max_length=64, input_names=("input_ids",)),
    outputs=("logits",),
    labels=("no", "yes"),
)


@pytest.fixture
def float_graph(tmp_path: Path) -> Artifact:
    """Lookup, three products over one input, mean, head."""
    random = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        array = (random.standard_normal(shape) / 12).astype(np.float32)
        return onnx.numpy_helper.from_array(array, name)

    parts = "qkv"
    graph = make.make_graph(
        [
            make.make_node("Gather", ["table", "input_ids"], ["x"]),
            *(make.make_node("MatMul", ["x", f"{p}.w"], [p], name=p) for p in parts),
            make.make_node("Sum", list(parts), ["sum"]),
            make.make_node("ReduceMean", ["sum"], ["mean"], axes=[1], keepdims=0),
            make.make_node("MatMul", ["mean", "head.w"], ["logits"]),
        ],
        "g",
        [make.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["batch", "length"])],
        [make.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 2])],
        [
            weight("table", 8200, 128),
            *(weight(f"{p}.w", 128, 128) for p in parts),
            weight("head.w", 128, 2),
        ],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return Artifact(
        format=Format.ONNX,
        folder=folder,
        entry="model.onnx",
        digest="d",
        precision=Precision.FP32,
        notes=("As it came.",),
    )


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    random = np.random.default_rng(1)
    path = tmp_path / "samples.npz"
    feeds = [{"input_ids": random.integers(0, 8200, (1, n))} for n in (3, 7, 12, 20)]
    path.write_bytes(encode_samples(feeds))
    return path


@pytest.fixture
def context(tmp_path: Path, samples: Path) -> Callable[[], StepContext]:
    """A context with a new empty folder each time."""
    count = 0

    def make_one() -> StepContext:
        nonlocal count
        count += 1
        folder = tmp_path / f"work{count}"
        folder.mkdir()
        return StepContext(workdir=folder, interface=INTERFACE, samples=samples)

    return make_one
