"""Whether a graph can be put into float16 at all, and be looked at value by value.

In: a graph whose types are known. Refuses one that works nothing out in float32, and one that works
floats out in a branch or loop, where nobody sees them.
"""

from typing import Final

import onnx

from deployopt.core.errors import StepError
from deployopt.graph.floats import float_values, floats_of
from deployopt.graph.tensors import dense_tensors, nodes_of, subgraphs

_MOVES: Final = frozenset(
    {
        "Cast", "Concat", "Constant", "Expand", "Flatten", "Gather", "Identity", "If", "Loop",
        "Reshape", "Scan", "Shape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
    }
)  # fmt: skip
"""What gives no value that it was not given."""


def require_looked_at(model: onnx.ModelProto) -> None:
    """Raise StepError where there is nothing to convert, or something that cannot be seen."""
    if not _works_in_float32(model):
        raise StepError(
            "The graph works nothing out in float32, so there is nothing to put into float16. "
            "It stands as it is."
        )
    unseen = _worked_out_inside(model)
    if unseen:
        raise StepError(
            f"float16 is checked on every value, and what the node {unseen!r} works out in a graph "
            "of its own cannot be looked at. The float32 form stands; export the model without "
            "branches and loops to have this one."
        )


def _works_in_float32(model: onnx.ModelProto) -> bool:
    """Whether any node does more with a float32 than cast it."""
    floats = float_values(model)
    floats |= {t.name for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    return any(
        node.op_type != "Cast" and not floats.isdisjoint((*node.input, *node.output))
        for node in nodes_of(model.graph)
    )


def _worked_out_inside(model: onnx.ModelProto) -> str:
    """The first node with a graph that does more with floats than move them; empty for none."""
    for node in model.graph.node:
        for graph in subgraphs(node):
            floats = _floats_inside(graph, model)
            works = [one for one in nodes_of(graph) if one.op_type not in _MOVES]
            if any(not floats.isdisjoint((*one.input, *one.output)) for one in works):
                return str(node.name)
    return ""


def _floats_inside(graph: onnx.GraphProto, model: onnx.ModelProto) -> set[str]:
    """Float values of a graph within a node, and those around it that it may read."""
    found = {t.name for t in dense_tensors(model) if t.data_type == onnx.TensorProto.FLOAT}
    found |= floats_of(model.graph)
    inside = [graph, *(one for node in nodes_of(graph) for one in subgraphs(node))]
    return found.union(*(floats_of(one) for one in inside))
