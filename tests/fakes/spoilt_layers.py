"""Five layers of MatMul, Add and Relu, `l0` to `l4`, and a head; one of them is spoilt for int8."""

from collections.abc import Callable

import numpy as np
import onnx
import onnx.helper as make

WIDTH, CLASSES, LAYERS = 128, 4, 5
Spoil = Callable[[dict[str, np.ndarray]], None]


def loud_channel(arrays: dict[str, np.ndarray]) -> None:
    """The second layer gives one huge channel, of which the third makes nothing."""
    arrays["w1"][:, 7] = 0
    arrays["b1"][7] = 3000
    arrays["w2"][7] = 0


def loud_weight(arrays: dict[str, np.ndarray]) -> None:
    """One weight of the third layer is huge, and what it multiplies never says anything."""
    arrays["w1"][:, 7] = 0
    arrays["b1"][7] = -1
    arrays["w2"][7, 7] = 500


def large_values(arrays: dict[str, np.ndarray]) -> None:
    """From the second layer to the last values are beyond float16's range."""
    arrays["w1"] *= 1e5
    arrays["head"] /= 1e5


def spoilt_model(spoil: Spoil) -> onnx.ModelProto:
    """`x` `[batch, WIDTH]` to `logits` `[batch, CLASSES]`, with random weights."""
    random = np.random.default_rng(0)
    arrays = {}
    for at in range(LAYERS):
        arrays[f"w{at}"] = random.standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH / 2)
        arrays[f"b{at}"] = random.standard_normal(WIDTH) / 10
    arrays["head"] = random.standard_normal((WIDTH, CLASSES))
    spoil(arrays)
    nodes, value = [], "x"
    for at in range(LAYERS):
        nodes += [
            make.make_node("MatMul", [value, f"w{at}"], [f"p{at}"], name=f"l{at}"),
            make.make_node("Add", [f"p{at}", f"b{at}"], [f"s{at}"], name=f"a{at}"),
            make.make_node("Relu", [f"s{at}"], [f"h{at}"], name=f"r{at}"),
        ]
        value = f"h{at}"
    nodes.append(make.make_node("MatMul", [value, "head"], ["logits"], name="head"))
    graph = make.make_graph(
        nodes,
        "layers",
        [make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", WIDTH])],
        [make.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", CLASSES])],
        [
            onnx.numpy_helper.from_array(array.astype(np.float32), name)
            for name, array in arrays.items()
        ],
    )
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
