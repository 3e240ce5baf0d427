"""A small text encoder as an exporter would write it: layers with attention, a mask, a head."""

import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper

_WIDTH, _HEADS, _WORDS = 8, 2, 50
_INT, _FLOAT = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT


def encoder_graph(layers: int, tokens: int | None = None) -> onnx.ModelProto:
    """Random weights; with `tokens` the reshapes have that number written into them."""
    graph = _Graph()
    graph.weight("table", _WORDS, _WIDTH)
    graph.constant("heads", np.array([0, tokens or -1, _HEADS, _WIDTH // _HEADS]))
    graph.constant("joined", np.array([0, -1, _WIDTH]))
    graph.constant("scale", np.array(0.5, np.float32))
    graph.constant("first", np.array(0))
    graph.add("Gather", "x", "table", "input_ids")
    _mask(graph)
    value = "x"
    for layer in range(layers):
        value = _layer(graph, f"layer{layer}", value)
    graph.weight("head.w", _WIDTH, 3)
    graph.add("Gather", "picked", value, "first", name="pick", axis=1)
    graph.add("MatMul", "logits", "picked", "head.w")
    inputs = [
        make.make_tensor_value_info(name, _INT, ["batch", tokens or "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    output = make.make_tensor_value_info("logits", _FLOAT, ["batch", 3])
    whole = make.make_graph(graph.nodes, "encoder", inputs, [output], graph.weights)
    return make.make_model(whole, opset_imports=[make.make_opsetid("", 17)], ir_version=8)


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, kind: str, made: str, *given: str, name: str = "", **attributes: object) -> None:
        node = make.make_node(kind, given, [made], name=name or made, **attributes)
        self.nodes.append(node)

    def constant(self, name: str, array: np.ndarray) -> None:
        self.weights.append(onnx.numpy_helper.from_array(array, name))

    def weight(self, name: str, *shape: int) -> None:
        random = np.random.default_rng([*map(ord, name)])
        self.constant(name, random.standard_normal(shape).astype(np.float32))


def _mask(graph: _Graph) -> None:
    """[batch, 1, tokens, tokens] of 0 and the least number, by way of sizes, as exporters do."""
    graph.constant("least", np.array(np.finfo(np.float32).min))
    graph.constant("one", np.array(1.0, np.float32))
    graph.constant("unit", np.array([1]))
    graph.constant("axes", np.array([1, 2]))
    graph.add("Shape", "sizes", "x")
    graph.constant("batch at", np.array([0]))
    graph.constant("tokens at", np.array([1]))
    graph.add("Gather", "batch", "sizes", "batch at")
    graph.add("Gather", "tokens", "sizes", "tokens at")
    graph.add("Concat", "full", "batch", "unit", "tokens", "tokens", axis=0)
    graph.add("Unsqueeze", "rows", "attention_mask", "axes")
    graph.add("Cast", "there", "rows", to=_FLOAT)
    graph.add("Sub", "missing", "one", "there")
    graph.add("Mul", "added", "missing", "least")
    graph.add("Expand", "mask", "added", "full")


def _layer(graph: _Graph, name: str, value: str) -> str:
    for part in ("q", "k", "v", "o"):
        graph.weight(f"{name}.{part}.w", _WIDTH, _WIDTH)
        graph.weight(f"{name}.{part}.b", _WIDTH)
    for part, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        stem = f"{name}.{part}"
        graph.add("MatMul", f"{stem}.p", value, f"{stem}.w")
        graph.add("Add", f"{stem}.s", f"{stem}.b", f"{stem}.p")
        graph.add("Reshape", f"{stem}.split", f"{stem}.s", "heads")
        graph.add("Transpose", stem, f"{stem}.split", perm=order)
    graph.add("MatMul", f"{name}.raw", f"{name}.q", f"{name}.k")
    graph.add("Mul", f"{name}.scaled", f"{name}.raw", "scale")
    graph.add("Add", f"{name}.scores", f"{name}.scaled", "mask")
    graph.add("Softmax", f"{name}.shares", f"{name}.scores", axis=-1)
    graph.add("MatMul", f"{name}.mixed", f"{name}.shares", f"{name}.v")
    graph.add("Transpose", f"{name}.back", f"{name}.mixed", perm=[0, 2, 1, 3])
    graph.add("Reshape", f"{name}.joined", f"{name}.back", "joined")
    graph.add("MatMul", f"{name}.o.p", f"{name}.joined", f"{name}.o.w")
    graph.add("Add", f"{name}.o", f"{name}.o.p", f"{name}.o.b")
    graph.add("Add", f"{name}.with", f"{name}.o", value)
    _normalized(graph, f"{name}.mid", f"{name}.with")
    graph.weight(f"{name}.up.w", _WIDTH, 2 * _WIDTH)
    graph.weight(f"{name}.down.w", 2 * _WIDTH, _WIDTH)
    graph.add("MatMul", f"{name}.up", f"{name}.mid", f"{name}.up.w")
    graph.add("Relu", f"{name}.active", f"{name}.up")
    graph.add("MatMul", f"{name}.down", f"{name}.active", f"{name}.down.w")
    graph.add("Add", f"{name}.sum", f"{name}.down", f"{name}.mid")
    _normalized(graph, f"{name}.out", f"{name}.sum")
    return f"{name}.out"


def _normalized(graph: _Graph, made: str, value: str) -> None:
    graph.weight(f"{made}.w", _WIDTH)
    graph.weight(f"{made}.b", _WIDTH)
    graph.add("LayerNormalization", made, value, f"{made}.w", f"{made}.b", axis=-1)
