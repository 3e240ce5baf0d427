"""Who makes and who reads each value of a graph's top level."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from deployopt.core.samples import Array
from deployopt.graph.tensors import nodes_of


class GraphIndex:
    """A snapshot: build it again after nodes were added or removed."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.weights = {t.name: t for t in model.graph.initializer}
        self.producers = {name: node for node in model.graph.node for name in node.output if name}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in nodes_of(model.graph):
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.outputs = {value.name for value in model.graph.output}

    def only_reader(self, name: str) -> onnx.NodeProto | None:
        """The node that reads `name`, if it is the only one and no graph output is it."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def float_weight(self, name: str, rank: int) -> Array | None:
        """A float32 initializer of that rank as a read-only array, or None."""
        tensor = self.weights.get(name)
        if tensor is None or tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) != rank:
            return None
        array: Array = onnx.numpy_helper.to_array(tensor)
        return array

    def bias_add(self, name: str) -> tuple[onnx.NodeProto, str] | None:
        """The Add of a one-dimensional float weight that alone reads `name`, and that weight."""
        node = self.only_reader(name)
        if node is None or node.op_type != "Add":
            return None
        other = next((i for i in node.input if i != name), "")
        return (node, other) if self.float_weight(other, 1) is not None else None


def initializer(name: str, array: Array) -> onnx.TensorProto:
    """The array as a raw-data tensor."""
    return onnx.numpy_helper.from_array(np.asarray(array, order="C"), name)


def attribute(node: onnx.NodeProto, name: str, default: float | None = None) -> object:
    """The value of a node's attribute, or the default."""
    for found in node.attribute:
        if found.name == name:
            value: object = onnx.helper.get_attribute_value(found)
            return value
    return default


def replace_nodes(
    graph: onnx.GraphProto, replacements: Mapping[str, Sequence[onnx.NodeProto]]
) -> None:
    """Put each list of nodes where the node whose first output is the key stood."""
    kept = [new for node in graph.node for new in replacements.get(node.output[0], [node])]
    del graph.node[:]
    graph.node.extend(kept)


def drop_unread_weights(model: onnx.ModelProto, keep: Collection[str] = ()) -> None:
    """Remove initializers that nothing reads."""
    index = GraphIndex(model)
    unread = [
        position
        for position, tensor in enumerate(model.graph.initializer)
        if tensor.name not in index.readers
        and tensor.name not in index.outputs
        and tensor.name not in keep
    ]
    for position in reversed(unread):
        del model.graph.initializer[position]
