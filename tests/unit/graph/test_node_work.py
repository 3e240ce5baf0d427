"""What a node computes, against sums done by hand."""

import onnx
import onnx.helper as make
import pytest

from deployopt.graph.node_work import node_work

SHAPES = {
    "x": (20, 2, 32), "batch_first": (2, 20, 32), "w": (1, 256, 32), "r": (1, 256, 64),
    "y": (20, 1, 2, 64), "image": (1, 8, 16, 16), "up": (8, 4, 2, 2), "large": (1, 4, 32, 32),
    "a": (2, 12, 32), "b": (32, 64), "c": (2, 12, 64), "heads": (2, 3, 12, 32),
    "shares": (2, 3, 12, 12),
}  # fmt: skip
WEIGHTS = {"w": 256 * 32, "r": 256 * 64, "up": 8 * 4 * 4, "b": 32 * 64}


def node(op_type: str, inputs: list[str], output: str, **options: object) -> onnx.NodeProto:
    return make.make_node(op_type, inputs, [output], **options)


@pytest.mark.parametrize(("layout", "given"), [(0, "x"), (1, "batch_first")])
def test_a_recurrent_layer_has_a_product_for_all_steps_and_one_a_step(
    layout: int, given: str
) -> None:
    layer = node("LSTM", [given, "w", "r"], "y", hidden_size=64, layout=layout)
    found = node_work(layer, SHAPES, WEIGHTS)
    assert found is not None
    assert {(kind, macs): count for (kind, macs, _, _), count in found.items()} == {
        ("gemm", 20.0 * 2 * 256 * 32): 1,
        ("gemm", 2.0 * 256 * 64): 20,
    }
    assert sum(weights * count for (_, _, weights, _), count in found.items()) == 256 * (32 + 64)


def test_a_transposed_convolution_is_a_product() -> None:
    found = node_work(node("ConvTranspose", ["image", "up"], "large"), SHAPES, WEIGHTS)
    values = 8 * 16 * 16 + 4 * 32 * 32
    assert found == {("conv", 8.0 * 16 * 16 * 4 * 2 * 2, 8.0 * 4 * 4, float(values)): 1}


@pytest.mark.parametrize(
    ("equation", "inputs", "output", "macs"),
    [
        ("bnd,de->bne", ["a", "b"], "c", 2 * 12 * 32 * 64),
        ("...d,de->...e", ["a", "b"], "c", 2 * 12 * 32 * 64),
        ("bhnd, bhmd -> bhnm", ["heads", "heads"], "shares", 2 * 3 * 12 * 12 * 32),
    ],
)
def test_an_einsum_of_two_is_a_product(
    equation: str, inputs: list[str], output: str, macs: int
) -> None:
    found = node_work(node("Einsum", inputs, output, equation=equation), SHAPES, WEIGHTS)
    assert found is not None
    ((kind, counted, _, _),) = found
    assert (kind, counted) == ("gemm", macs)


def test_a_graph_within_a_node_is_not_counted() -> None:
    shape = make.make_tensor_value_info("s", onnx.TensorProto.FLOAT, [2, 12, 64])
    body = make.make_graph([make.make_node("Relu", ["c"], ["s"])], "body", [], [shape])
    asked = make.make_node("If", ["c"], ["c"], then_branch=body, else_branch=body)
    assert node_work(asked, SHAPES, WEIGHTS) is None
