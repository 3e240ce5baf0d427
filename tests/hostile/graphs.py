"""Small graphs with every home that a tensor, a graph or a function can have."""

from typing import Any

import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper

FLOAT = onnx.TensorProto.FLOAT
_OPSET = 17
_IR = 8


def graphs() -> dict[str, bytes]:
    """By file name."""
    models = {
        "branch.onnx": _branch(),
        "loop.onnx": _loop(),
        "function.onnx": _function(),
        "external.onnx": _external(),
        "homes.onnx": _homes(),
        "own.onnx": _own(),
    }
    return {name: model.SerializeToString() for name, model in models.items()}


def _branch() -> onnx.ModelProto:
    low = make.make_graph([make.make_node("Neg", ["x"], ["l"])], "low", [], [_value("l", None)])
    high = make.make_graph([make.make_node("Relu", ["x"], ["h"])], "high", [], [_value("h", None)])
    nodes = [
        make.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        make.make_node("Greater", ["sum", "zero"], ["more"]),
        make.make_node("If", ["more"], ["y"], then_branch=high, else_branch=low),
    ]
    return _model(nodes, [_weight("zero", np.float32(0))])


def _loop() -> onnx.ModelProto:
    body = make.make_graph(
        [
            make.make_node("Add", ["sum", "one"], ["more"]),
            make.make_node("Identity", ["going"], ["on"]),
        ],
        "body",
        [_value("i", [], onnx.TensorProto.INT64), _value("going", [], onnx.TensorProto.BOOL),
            _value("sum", ["n", 4])],
        [_value("on", [], onnx.TensorProto.BOOL), _value("more", ["n", 4])],
    )  # fmt: skip
    nodes = [make.make_node("Loop", ["times", "yes", "x"], ["y"], body=body)]
    weights = [
        _weight("times", np.int64(3)),
        _weight("yes", np.bool_(True)),  # noqa: FBT003 -- the graph's own constant
        _weight("one", np.ones(4, np.float32)),
    ]
    return _model(nodes, weights)


def _function() -> onnx.ModelProto:
    inner = make.make_function(
        "own", "Inner", ["a"], ["b"], [make.make_node("Relu", ["a"], ["b"])], [_opset()]
    )
    outer = make.make_function(
        "own", "Outer", ["a"], ["b"],
        [make.make_node("Inner", ["a"], ["c"], domain="own"), make.make_node("Neg", ["c"], ["b"])],
        [_opset(), make.make_opsetid("own", 1)],
    )  # fmt: skip
    model = _model([make.make_node("Outer", ["x"], ["y"], domain="own")], [])
    model.opset_import.append(make.make_opsetid("own", 1))
    model.functions.extend([outer, inner])
    return model


def _external() -> onnx.ModelProto:
    weight = onnx.TensorProto(name="w", data_type=FLOAT, dims=[4, 4])
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "model.onnx.data"), ("offset", "64"), ("length", "64")):
        weight.external_data.add(key=key, value=value)
    return _model([make.make_node("MatMul", ["x", "w"], ["y"])], [weight])


def _homes() -> onnx.ModelProto:
    nodes = [
        make.make_node("Constant", [], ["c"], value=_weight("", np.ones((4, 4), np.float32))),
        make.make_node("Constant", [], ["s"], value_ints=[-1, 4]),
        make.make_node("MatMul", ["x", "c"], ["z"]),
        make.make_node("Reshape", ["z", "s"], ["r"]),
        make.make_node("Slice", ["r", "start", "end"], ["t"]),
        make.make_node("Concat", ["t", "r"], ["y"], axis=0),
    ]
    weights = [_weight("start", np.array([0], np.int64)), _weight("end", np.array([1], np.int64))]
    model = _model(nodes, weights)
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(_weight("sp", np.ones(2, np.float32)))
    sparse.indices.CopyFrom(_weight("", np.array([0, 3], np.int64)))
    sparse.dims.append(8)
    model.metadata_props.add(key="licence", value="none")
    model.training_info.add().algorithm.name = "training"
    return model


def _own() -> onnx.ModelProto:
    nodes = [
        make.make_node("FusedMatMul", ["x", "w"], ["z"], domain="com.microsoft", transB=1),
        make.make_node("QuantizeLinear", ["z", "scale", "zero"], ["q"]),
        make.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    weights = [
        _weight("w", np.eye(4, dtype=np.float32)),
        _weight("scale", np.float32(0.1)),
        _weight("zero", np.uint8(128)),
    ]
    model = _model(nodes, weights)
    model.opset_import.append(make.make_opsetid("com.microsoft", 1))
    return model


def _model(nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto]) -> onnx.ModelProto:
    graph = make.make_graph(nodes, "g", [_value("x", ["n", 4])], [_value("y", ["m", 4])], weights)
    return make.make_model(graph, opset_imports=[_opset()], ir_version=_IR)


def _opset() -> onnx.OperatorSetIdProto:
    return make.make_opsetid("", _OPSET)


def _value(name: str, shape: list[int | str] | None, kind: int = FLOAT) -> onnx.ValueInfoProto:
    return make.make_tensor_value_info(name, kind, shape)


def _weight(name: str, array: Any) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.asarray(array), name)
