"""Tiny real graphs: an attention-like text model, a convolution net, and a way to run them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.checker
import onnx.helper as make
import onnx.numpy_helper
import onnxruntime
import pytest

from deployopt.core.samples import Array

WIDTH = 128
WORDS = 8200


def weight(name: str, *shape: int, seed: int = 0) -> onnx.TensorProto:
    random = np.random.default_rng([seed, *map(ord, name)])
    array = (random.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
    return onnx.numpy_helper.from_array(array, name)


@pytest.fixture
def text_model() -> onnx.ModelProto:
    """Lookup, query, key and value over one input, a product of activations, a Gemm head."""
    weights = [weight("table", WORDS, WIDTH)]
    nodes = [make.make_node("Gather", ["table", "input_ids"], ["x"], name="lookup")]
    for part in "qkv":
        weights += [weight(f"{part}.w", WIDTH, WIDTH), weight(f"{part}.b", WIDTH)]
        nodes += [
            make.make_node("MatMul", ["x", f"{part}.w"], [f"{part}.p"], name=f"{part}.dot"),
            make.make_node("Add", [f"{part}.b", f"{part}.p"], [part], name=f"{part}.add"),
        ]
    head = onnx.numpy_helper.from_array(np.zeros(WIDTH, np.float32), "head.b")
    weights += [weight("head.w", WIDTH, WIDTH), head, weight("last.w", WIDTH, 2)]
    nodes += [
        make.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        make.make_node("MatMul", ["q", "kt"], ["scores"]),
        make.make_node("Softmax", ["scores"], ["shares"], axis=-1),
        make.make_node("MatMul", ["shares", "v"], ["mixed"]),
        make.make_node("ReduceMean", ["mixed"], ["pooled"], axes=[1], keepdims=0),
        make.make_node("Gemm", ["pooled", "head.w", "head.b"], ["h"], name="head", transB=1),
        make.make_node("MatMul", ["h", "last.w"], ["logits"], name="last"),
    ]
    graph = make.make_graph(
        nodes,
        "text",
        [make.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["batch", "length"])],
        [make.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 2])],
        weights,
    )
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def conv_model() -> onnx.ModelProto:
    """Convolution, BatchNorm, Relu, depthwise convolution, pooling, Gemm."""
    statistics = ["bn.scale", "bn.shift", "bn.shift", "bn.scale"]
    ones = onnx.numpy_helper.from_array(np.full(16, 1.5, np.float32), "bn.scale")
    zeros = onnx.numpy_helper.from_array(np.full(16, 0.1, np.float32), "bn.shift")
    graph = make.make_graph(
        [
            make.make_node("Conv", ["image", "c1.w"], ["c1"], name="c1", pads=[1, 1, 1, 1]),
            make.make_node("BatchNormalization", ["c1", *statistics], ["n1"]),
            make.make_node("Relu", ["n1"], ["r1"]),
            make.make_node("Conv", ["r1", "c2.w"], ["c2"], name="c2", group=16),
            make.make_node("GlobalAveragePool", ["c2"], ["pooled"]),
            make.make_node("Flatten", ["pooled"], ["flat"]),
            make.make_node("Gemm", ["flat", "fc.w"], ["logits"], name="fc"),
        ],
        "conv",
        [make.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["batch", 3, 16, 16])],
        [make.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 4])],
        [
            weight("c1.w", 16, 3, 3, 3),
            ones,
            zeros,
            weight("c2.w", 16, 1, 3, 3),
            weight("fc.w", 16, 4),
        ],
    )  # fmt: skip
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=7)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[onnx.ModelProto], Path]:
    """Write a model with onnx's own writer."""
    count = 0

    def save(model: onnx.ModelProto) -> Path:
        nonlocal count
        count += 1
        path = tmp_path / f"given{count}.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return save


@pytest.fixture
def texts() -> list[dict[str, Array]]:
    random = np.random.default_rng(3)
    return [{"input_ids": random.integers(0, WORDS, (1, n))} for n in (3, 9, 17, 30)]


@pytest.fixture
def images() -> list[dict[str, Array]]:
    random = np.random.default_rng(4)
    return [{"image": random.standard_normal((1, 3, 16, 16)).astype(np.float32)} for _ in range(12)]


@pytest.fixture
def answers() -> Callable[[onnx.ModelProto, list[dict[str, Array]]], list[Array]]:
    """The first output for each request, with all of ONNX Runtime's own optimizations."""

    def run(model: onnx.ModelProto, feeds: list[dict[str, Array]]) -> list[Array]:
        onnx.checker.check_model(model)
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        return [np.asarray(session.run(None, feed)[0]) for feed in feeds]

    return run
