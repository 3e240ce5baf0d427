"""Merging products that share an input: same numbers, fewer nodes."""

from collections.abc import Callable

import numpy as np
import onnx

from deployopt.core.samples import Array
from deployopt.graph.rewrite_qkv import merge_shared_matmuls

Feeds = list[dict[str, Array]]
Answers = Callable[[onnx.ModelProto, Feeds], list[Array]]


def count(model: onnx.ModelProto, op_type: str) -> int:
    return sum(node.op_type == op_type for node in model.graph.node)


def test_three_become_one_with_the_same_answers(
    text_model: onnx.ModelProto, texts: Feeds, answers: Answers
) -> None:
    before = answers(text_model, texts)
    products = count(text_model, "MatMul")
    assert merge_shared_matmuls(text_model) == 1
    assert count(text_model, "MatMul") == products - 2
    assert count(text_model, "Split") == 1
    names = {tensor.name for tensor in text_model.graph.initializer}
    assert not names & {"q.w", "k.w", "v.w", "q.b"}
    for old, new in zip(before, answers(text_model, texts), strict=True):
        assert np.allclose(old, new, rtol=0, atol=1e-5)


def test_different_widths_are_split_where_they_belong(
    text_model: onnx.ModelProto, texts: Feeds, answers: Answers
) -> None:
    """A value branch of another width, as with grouped queries, keeps its own columns."""
    weights = {tensor.name: tensor for tensor in text_model.graph.initializer}
    for name, shape in (("v.w", (128, 64)), ("v.b", (64,)), ("head.w", (128, 64))):
        array = onnx.numpy_helper.to_array(weights[name])[tuple(slice(n) for n in shape)]
        weights[name].CopyFrom(onnx.numpy_helper.from_array(array.copy(), name))
    before = answers(text_model, texts)
    assert merge_shared_matmuls(text_model) == 1
    for old, new in zip(before, answers(text_model, texts), strict=True):
        assert np.allclose(old, new, rtol=0, atol=1e-5)


def test_products_of_different_inputs_stay(text_model: onnx.ModelProto) -> None:
    for node in text_model.graph.node:
        if node.name in {"k.dot", "v.dot"}:
            node.input[0] = node.name + ".x"
            text_model.graph.input.append(
                onnx.helper.make_tensor_value_info(node.name + ".x", 1, ["b", "l", 128])
            )
    assert merge_shared_matmuls(text_model) == 0


def test_a_product_that_is_an_output_of_the_graph_stays(text_model: onnx.ModelProto) -> None:
    for name in ("q.p", "k.p", "v.p"):
        text_model.graph.output.append(onnx.helper.make_tensor_value_info(name, 1, None))
    assert merge_shared_matmuls(text_model) == 0
