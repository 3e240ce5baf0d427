"""What a graph takes and gives, without running it."""

from pathlib import Path

import msgspec
import onnx
import onnx.helper

from deployopt.core.interface import ArrayInput
from deployopt.graph.free_sizes import sizes_of
from deployopt.graph.limits import refuse
from deployopt.graph.reading import opset_of, read_graph


class GraphDescription(msgspec.Struct, frozen=True, kw_only=True):
    """Inputs and outputs in order; a dimension that may vary has a name."""

    inputs: tuple[ArrayInput, ...]
    outputs: tuple[ArrayInput, ...]
    opset: int
    functions: tuple[str, ...]
    producer: str
    nodes: int


def describe_onnx(path: Path) -> GraphDescription:
    """Read the graph's header.

    Raises:
        RefusedInputError: the file may not be opened, or an input is not a tensor.
    """
    model = read_graph(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    return GraphDescription(
        inputs=tuple(_value(v, path) for v in model.graph.input if v.name not in weights),
        outputs=tuple(_value(v, path) for v in model.graph.output),
        opset=opset_of(model),
        functions=tuple(f.name for f in model.functions),
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        nodes=len(model.graph.node),
    )


def _value(value: onnx.ValueInfoProto, path: Path) -> ArrayInput:
    if not value.type.HasField("tensor_type"):
        refuse(path, f"its input or output {value.name[:64]!r} is not a tensor")
    tensor = value.type.tensor_type
    try:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except (KeyError, ValueError):
        refuse(path, f"its input or output {value.name[:64]!r} has no known element type")
    return ArrayInput(name=value.name, dtype=dtype, shape=sizes_of(value))
