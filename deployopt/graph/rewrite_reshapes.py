"""Reshapes whose target is computed from other shapes get a constant one.

Exporters write view(batch, -1, heads, width) as Shape, Gather, Unsqueeze and Concat before each
Reshape: a dozen small nodes a layer, run anew for every request. With the free sizes set to
different primes, twice over, each target is worked out; a size that stays is a number, one that
follows the reshaped value's own is 0 (ONNX's "as it is"), and one other may be -1. A Reshape that
does not come out so is left as it is.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import onnx

from deployopt.graph.index import GraphIndex, attribute, initializer
from deployopt.graph.shapes import Known, trials
from deployopt.graph.tensors import read_by

_AS_IT_IS: Final = 0
_REST: Final = -1


def settle_reshapes(model: onnx.ModelProto) -> int:
    """Change the model in place; how many targets became constant."""
    index = GraphIndex(model)
    open_reshapes = [
        node
        for node in model.graph.node
        if node.op_type == "Reshape"
        and node.input[1] not in index.weights
        and attribute(node, "allowzero", 0) == 0
    ]
    known = trials(model) if open_reshapes else []
    settled = 0
    for node in open_reshapes:
        target = _target(node, known)
        if target is not None:
            name = f"{node.output[0]}.sizes"
            model.graph.initializer.append(initializer(name, np.array(target, np.int64)))
            node.input[1] = name
            settled += 1
    drop_dead_nodes(model)
    return settled


def drop_dead_nodes(model: onnx.ModelProto) -> int:
    """Remove nodes whose outputs nothing reads; how many."""
    needed = {value.name for value in model.graph.output}
    dead = []
    # Readers come after what they read, so one walk from the end meets every reader first.
    for position in reversed(range(len(model.graph.node))):
        node = model.graph.node[position]
        if needed.isdisjoint(node.output):
            dead.append(position)
        else:
            needed.update(read_by(node))
    for position in dead:
        del model.graph.node[position]
    return len(dead)


def _target(node: onnx.NodeProto, trials: Sequence[Known]) -> list[int] | None:
    """The constant target, or None where there is none or a size is unknown."""
    given, wanted = [], []
    for known in trials:
        shape, numbers = known.shape(node.input[0]), known.numbers.get(node.input[1])
        if shape is None or numbers is None:
            return None
        given.append(shape)
        wanted.append([int(number) for number in numbers])
    if not trials or len({len(target) for target in wanted}) != 1:
        return None
    target = [
        _size([t[place] for t in wanted], [s[place : place + 1] for s in given])
        for place in range(len(wanted[0]))
    ]
    return target if target.count(_REST) <= 1 else None


def _size(wanted: Sequence[int], given: Sequence[tuple[int, ...]]) -> int:
    if len(set(wanted)) == 1:
        return wanted[0]
    follows = all(one == other for one, other in zip([(w,) for w in wanted], given, strict=True))
    return _AS_IT_IS if follows else _REST
