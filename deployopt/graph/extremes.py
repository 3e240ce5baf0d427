"""The largest magnitude of each value of a graph, worked out by the graph itself.

A model goes in and has, while the context lasts, an output more for each value that is asked after:
one number, so that what lies between the nodes is let go of as the request goes on. Numbers that
stand for infinity do not count; of what holds something that is no number the output is none.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

MASKED: Final = 1e30
"""Beyond it a number stands for minus infinity, as attention masks have it."""
_PREFIX: Final = "largest of "
_LIMITS: Final = {"masked": MASKED, "zero": 0.0, "none": np.nan}
_FLOAT: Final = onnx.TensorProto.FLOAT


@contextmanager
def largest_of(model: onnx.ModelProto, names: Sequence[str]) -> Iterator[dict[str, str]]:
    """Value name to the name of the output that holds its largest magnitude; gone again after."""
    graph = model.graph
    nodes, weights = len(graph.node), len(graph.initializer)
    found = {name: f"{_PREFIX}{name}" for name in names}
    try:
        for name, value in _LIMITS.items():
            number = np.array(value, dtype=np.float32)
            graph.initializer.append(onnx.numpy_helper.from_array(number, f"{_PREFIX}: {name}"))
        for name, goal in found.items():
            graph.node.extend(_nodes(name, goal))
        yield found
    finally:
        del graph.node[nodes:]
        del graph.initializer[weights:]


def _nodes(name: str, goal: str) -> list[onnx.NodeProto]:
    make = onnx.helper.make_node
    masked, zero, none = (f"{_PREFIX}: {limit}" for limit in _LIMITS)
    size, below, kept, most, odd, count, several, any_odd = (f"{goal}: {n}" for n in range(8))
    return [
        make("Abs", [name], [size]),
        make("Less", [size, masked], [below]),
        make("Where", [below, size, zero], [kept]),
        make("ReduceMax", [kept], [most], keepdims=0),
        make("IsNaN", [name], [odd]),
        make("Cast", [odd], [count], to=_FLOAT),
        make("ReduceMax", [count], [several], keepdims=0),
        # Of no elements at all the most is minus infinity.
        make("Greater", [several, zero], [any_odd]),
        make("Where", [any_odd, none, most], [goal]),
    ]
