"""Write the graphs that `deployopt detect --calibrate` times, and what arithmetic sees of them.

Their weights are made by ConstantOfShape, which ONNX Runtime folds when it opens them, so that a
graph of any size is a file of a few kilobytes. The int8 forms come from the same code as a build's.

python -m tools.make_calibration_models
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import onnx
from onnx import helper, numpy_helper

from deployopt.core.artifact import Precision
from deployopt.core.codec import encode_json
from deployopt.device.calibration_graphs import DATA, TABLE, CalibrationGraph
from deployopt.graph.counting import facts_from_graph
from deployopt.graph.quantize_dynamic import DynamicOptions, quantize_dynamic
from deployopt.graph.quantize_static import StaticOptions, quantize_static
from tools.calibration_nets import MODELS, OPERATORS

_SMALL: Final = 64
"""Initializers of so many values stay as they are."""


def filled(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with every large initializer made by ConstantOfShape, names and shapes out."""
    graph = model.graph
    kept: list[onnx.TensorProto] = []
    fillings: list[onnx.NodeProto] = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.size <= _SMALL:
            kept.append(tensor)
            continue
        shape = numpy_helper.from_array(np.array(values.shape, np.int64), f"{tensor.name}_s")
        fill = numpy_helper.from_array(_one_value(values, len(fillings)), "value")
        kept.append(shape)
        fillings.append(
            helper.make_node("ConstantOfShape", [shape.name], [tensor.name], value=fill)
        )
    nodes = [*fillings, *graph.node]
    for node in nodes:
        node.ClearField("name")
        node.ClearField("doc_string")
    made = helper.make_graph(nodes, "g", graph.input, graph.output, kept)
    return _renamed(
        helper.make_model(made, opset_imports=model.opset_import, ir_version=model.ir_version)
    )


def _one_value(values: np.ndarray[tuple[int, ...], np.dtype[Any]], number: int) -> Any:  # noqa: ANN401 -- numpy's
    """One value for all of a tensor; no two weights the same, else the runtime merges nodes.

    Scales keep their mean: the runtime fuses only where a bias's is the product of two others.
    """
    middle = values.astype(np.float64).mean()
    if values.ndim == 1:
        return np.array([middle if values.dtype.kind == "f" else round(middle)], values.dtype)
    if values.dtype.kind == "f":
        return np.array([middle * (1 + 1e-3 * number)], values.dtype)
    return np.array([number % 100 + 1], values.dtype)


def _renamed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Values by number, which is shorter."""
    names: dict[str, str] = {"x": "x", "": ""}
    graph = model.graph

    def short(name: str) -> str:
        return names.setdefault(name, f"{len(names):x}")

    for node in graph.node:
        node.input[:] = [short(name) for name in node.input]
        node.output[:] = [short(name) for name in node.output]
    for value in (*graph.output, *graph.initializer):
        value.name = short(value.name)
    return model


def dynamic(model: onnx.ModelProto, _: Path) -> onnx.ModelProto:
    """As the build's step quantizes transformers."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    quantize_dynamic(made, DynamicOptions(per_channel=True))
    return made


def static(model: onnx.ModelProto, workdir: Path) -> onnx.ModelProto:
    """As the build's step quantizes convolution nets."""
    source, made = workdir / "float.onnx", workdir / "int8.onnx"
    onnx.save(model, source)
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    chance = np.random.default_rng(0)
    feeds = [{"x": chance.uniform(0, 1, shape).astype(np.float32)} for _ in range(2)]
    quantize_static(source, made, feeds, StaticOptions(), lambda *_: None)
    return onnx.load(made)


def _int8_form(name: str) -> Callable[[onnx.ModelProto, Path], onnx.ModelProto] | None:
    if name.startswith(("scores", "elementwise", "between")):
        return None
    return dynamic if name.startswith(("gemm", "bert")) else static


def main() -> None:
    """Write all graphs and their table."""
    DATA.mkdir(parents=True, exist_ok=True)
    for old in DATA.glob("*.onnx"):
        old.unlink()
    table: list[CalibrationGraph] = []
    for name, model in (OPERATORS | MODELS).items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            onnx.save(model, path)
            facts = facts_from_graph(path, {})
            shape = model.graph.input[0].type.tensor_type.shape.dim
            entry = CalibrationGraph(
                name=name,
                shape=tuple(size.dim_value for size in shape),
                precision=Precision.FP32,
                whole=name in MODELS,
                operations=facts.operations,
            )
            onnx.save(filled(model), DATA / entry.file)
            table.append(entry)
            form = _int8_form(name)
            if form is not None:
                entry = msgspec.structs.replace(entry, precision=Precision.INT8)
                onnx.save(filled(form(model, Path(folder))), DATA / entry.file)
                table.append(entry)
    (DATA / TABLE).write_bytes(encode_json(table) + b"\n")


if __name__ == "__main__":
    main()
