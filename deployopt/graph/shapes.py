"""The shape of every value of a graph for given sizes of its free dimensions; nothing is run.

Node by node in the graph's order: ONNX's own shape inference for each operator, what the file
declares where that knows nothing, and the small integer arithmetic with which exporters compute
shapes carried out. Weights are seen by their
headers only, so that a model of gigabytes costs no more than its graph.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import onnx
import onnx.checker
import onnx.defs
import onnx.helper
import onnx.numpy_helper
import onnx.shape_inference
from onnx.reference import ReferenceEvaluator

from deployopt.core.samples import Array
from deployopt.graph.external import is_external
from deployopt.graph.free_sizes import sizes_of
from deployopt.graph.index import attribute
from deployopt.graph.reading import opset_of
from deployopt.graph.sizes import elements

Shapes = dict[str, tuple[int, ...]]
_SMALL: Final = 1024
_LOOP_OWN: Final = 2
"""Inputs of a loop before those that it carries: how often, and whether at all."""
_PRIMES: Final = (
    (7, 61, 11, 29, 17, 23, 13, 19),
    (5, 97, 31, 3, 41, 37, 43, 47),
)


class Known:
    """What has been found out so far: types of values, and numbers of the small constant ones."""

    def __init__(self, model: onnx.ModelProto, dims: Mapping[str, int]) -> None:
        self.opset = opset_of(model)
        self.imports = list(model.opset_import)
        self.versions = {stamp.domain: stamp.version for stamp in model.opset_import}
        self.types: dict[str, onnx.TypeProto] = {}
        self.numbers: dict[str, Array] = {}
        self.declared = {
            value.name: _with_sizes(value, dims)
            for value in (*model.graph.value_info, *model.graph.output)
            if value.type.tensor_type.HasField("shape")
            and all(isinstance(size, int) or size in dims for size in sizes_of(value))
        }
        for value in model.graph.input:
            self.types[value.name] = _with_sizes(value, dims)
        for tensor in model.graph.initializer:
            self.types[tensor.name] = onnx.helper.make_tensor_type_proto(
                tensor.data_type, tensor.dims
            )
            if elements(tensor) <= _SMALL and not is_external(tensor):
                self.numbers[tensor.name] = onnx.numpy_helper.to_array(tensor)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The sizes of a value, or None while one is unknown."""
        found = self.types.get(name)
        if found is None or not found.tensor_type.HasField("shape"):
            return None
        dims = found.tensor_type.shape.dim
        if not all(dim.HasField("dim_value") for dim in dims):
            return None
        return tuple(dim.dim_value for dim in dims)


def known_shapes(model: onnx.ModelProto, dims: Mapping[str, int]) -> tuple[Shapes, dict[str, int]]:
    """Shapes and element types of the values whose every size could be found.

    A free dimension that `dims` does not name has size 1.
    """
    known = sweep(model, dims)
    shapes = {name: shape for name in known.types if (shape := known.shape(name)) is not None}
    return shapes, {name: known.types[name].tensor_type.elem_type for name in shapes}


def sweep(model: onnx.ModelProto, dims: Mapping[str, int]) -> Known:
    """Go through the graph once; free sizes that `dims` does not name are 1."""
    known = Known(model, dims)
    for node in model.graph.node:
        _infer(node, known)
        _carry(node, known)
        _declare(node, known)
        _compute(node, known)
    return known


def trials(model: onnx.ModelProto) -> list[Known]:
    """Two sweeps with the free sizes set to different primes; none where there are too many.

    What has the same size in both has it always, as good as surely.
    """
    names = {
        size: None
        for value in model.graph.input
        for size in sizes_of(value)
        if isinstance(size, str)
    }
    if len(names) > len(_PRIMES[0]):
        return []
    return [sweep(model, dict(zip(names, primes, strict=False))) for primes in _PRIMES]


def _infer(node: onnx.NodeProto, known: Known) -> None:
    if any(name and name not in known.types for name in node.input):
        return
    inputs = {name: known.types[name] for name in node.input if name}
    data = {
        name: onnx.numpy_helper.from_array(known.numbers[name], name)
        for name in node.input
        if name in known.numbers
    }
    try:
        version = known.versions.get(node.domain, known.opset)
        schema = onnx.defs.get_schema(node.op_type, version, node.domain)
        outputs = onnx.shape_inference.infer_node_outputs(
            schema, node, inputs, data, opset_imports=known.imports
        )
    except (
        onnx.checker.ValidationError,
        onnx.defs.SchemaError,
        onnx.shape_inference.InferenceError,
        RuntimeError,
    ):
        return
    known.types.update(outputs)


def _carry(node: onnx.NodeProto, known: Known) -> None:
    """What a loop carries from step to step comes out as it went in, as good as always."""
    if node.op_type != "Loop":
        return
    for name, carried in zip(node.output, node.input[_LOOP_OWN:], strict=False):
        if carried in known.types and known.shape(name) is None:
            known.types[name] = known.types[carried]


def _declare(node: onnx.NodeProto, known: Known) -> None:
    """Where nothing was inferred the file's own word is taken, if it leaves no size free."""
    for name in node.output:
        declared = known.declared.get(name)
        if declared is not None and known.shape(name) is None:
            known.types[name] = declared


def _compute(node: onnx.NodeProto, known: Known) -> None:
    """Carry out arithmetic on small constants, and ask a known shape for its sizes."""
    if node.op_type == "Shape":
        shape = known.shape(node.input[0])
        if shape is not None:
            first, end = attribute(node, "start", 0), attribute(node, "end", len(shape))
            known.numbers[node.output[0]] = np.array(shape, np.int64)[first:end]
        return
    given = [name for name in node.input if name]
    if not given or not all(name in known.numbers for name in given):
        return
    sizes = [known.shape(name) for name in node.output]
    if any(size is None or np.prod(size) > _SMALL for size in sizes):
        return
    # A copy: evaluators hang in reference cycles, and a node of the model would keep all of it.
    alone = onnx.NodeProto.FromString(node.SerializeToString())
    try:
        evaluator = ReferenceEvaluator(alone, opsets={"": known.opset})
        results = evaluator.run(None, {name: known.numbers[name] for name in given})
    except (RuntimeError, ValueError, TypeError, NotImplementedError, IndexError):
        return
    for name, result in zip(node.output, results, strict=False):
        known.numbers[name] = np.asarray(result)
        known.types[name] = onnx.helper.make_tensor_type_proto(
            onnx.helper.np_dtype_to_tensor_dtype(known.numbers[name].dtype),
            known.numbers[name].shape,
        )


def _with_sizes(value: onnx.ValueInfoProto, dims: Mapping[str, int]) -> onnx.TypeProto:
    sized = onnx.TypeProto()
    sized.CopyFrom(value.type)
    for dim, size in zip(sized.tensor_type.shape.dim, sizes_of(value), strict=True):
        dim.dim_value = size if isinstance(size, int) else dims.get(size, 1)
    return sized
