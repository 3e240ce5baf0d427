"""Every place of a model that can hold a tensor or a graph, walked once."""

from collections.abc import Iterator

import onnx


def nodes_of(nodes: "onnx.GraphProto | onnx.FunctionProto") -> Iterator[onnx.NodeProto]:
    """The nodes of a graph or function and of all graphs inside them."""
    for node in nodes.node:
        yield node
        for graph in subgraphs(node):
            yield from nodes_of(graph)


def read_by(node: onnx.NodeProto) -> set[str]:
    """Names that a node or a graph inside it reads, those made inside it among them."""
    names = set(node.input)
    for graph in subgraphs(node):
        names.update(value.name for value in graph.output)
        for inner in graph.node:
            names |= read_by(inner)
    return names


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs in a node's attributes."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def dense_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Initializers and attribute tensors, where external data is understood."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_nodes(function)


def other_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Tensors in homes where no exporter puts external data: sparse ones and training graphs."""
    yield from _sparse_of_graph(model.graph)
    for function in model.functions:
        yield from _sparse_of_nodes(function)
    for training in model.training_info:
        for graph in (training.initialization, training.algorithm):
            yield from _of_graph(graph)
            yield from _sparse_of_graph(graph)


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    yield from _of_nodes(graph)


def _of_nodes(nodes: "onnx.GraphProto | onnx.FunctionProto") -> Iterator[onnx.TensorProto]:
    for node in nodes.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
        for graph in subgraphs(node):
            yield from _of_graph(graph)
    # A function's default attribute values are attributes too.
    for attribute in getattr(nodes, "attribute_proto", ()):
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors


def _sparse_of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _sparse_of_nodes(graph)


def _sparse_of_nodes(nodes: "onnx.GraphProto | onnx.FunctionProto") -> Iterator[onnx.TensorProto]:
    for node in nodes.node:
        for attribute in node.attribute:
            found = list(attribute.sparse_tensors)
            if attribute.HasField("sparse_tensor"):
                found.append(attribute.sparse_tensor)
            for sparse in found:
                yield from (sparse.values, sparse.indices)
        for graph in subgraphs(node):
            yield from _sparse_of_graph(graph)
