"""A float32 graph in float16, with the nodes whose values would not fit kept in float32.

A float file and real requests go in; a file of mixed floats comes out, its inputs and outputs still
float32. The rewriting is onnxruntime.transformers' own; which nodes it leaves alone is decided
here, by what their values were on the requests, and by what they are for: an angle of hundreds of
radians has no digit left behind the point in float16. ONNX Runtime on a CPU works such a graph out
in float32 between roundings, so that an overflow would not show there: that is what the ranges are
for.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import onnx
import onnx.numpy_helper
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

from deployopt.core.errors import StepError
from deployopt.core.samples import Array, Feed
from deployopt.core.text import safe_text
from deployopt.graph.calibrating import Observing, watch_values
from deployopt.graph.extremes import MASKED, largest_of
from deployopt.graph.index import attribute
from deployopt.graph.inferring import infer_types
from deployopt.graph.naming import name_nodes
from deployopt.graph.opsets import raise_opset
from deployopt.graph.reading import load_onnx
from deployopt.graph.rewrite_constants import lift_constants
from deployopt.graph.running import RUN_ERRORS, largest_difference, open_graph
from deployopt.graph.tensors import nodes_of
from deployopt.graph.writing import save_onnx

LARGEST: Final = 65504.0
"""Of float16."""
HEADROOM: Final = 4.0
"""Other requests may give values so many times as large as the largest that were seen."""
_OPSET: Final = 13
_OPSET_OF_PAIRS: Final = 19
"""From here on the scales of Q/DQ pairs may be float16."""
_CHECKED: Final = 32
_TURNING: Final = frozenset({"Sin", "Cos"})
_BEFORE_ANGLES: Final = frozenset(
    {
        "Cast", "Mul", "Div", "Add", "Sub", "Neg", "Exp", "Unsqueeze", "Squeeze", "Reshape",
        "Expand", "Concat", "Slice", "Gather", "Identity",
    }
)  # fmt: skip
_PAIRS: Final = frozenset({"QuantizeLinear", "DequantizeLinear"})


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A node that stays in float32, and the largest value that it was seen with."""

    name: str
    largest: float


class Halved(msgspec.Struct, frozen=True, kw_only=True):
    """What was done: nodes in all, those kept by their range, and how far the answers moved."""

    nodes: int
    kept: tuple[Kept, ...]
    angles: int = 0
    """Nodes that were kept because they work out an angle."""
    difference: float
    """The greatest of the outputs, relative to their scale where that is over 1."""


def convert_to_half(
    source: Path,
    destination: Path,
    feeds: Sequence[Feed],
    threads: int,
    progress: Callable[[float, str], None],
    *,
    angles: bool = False,
) -> Halved:
    """Write the float16 model and compare its answers with the source's.

    With `angles` the nodes that work out angles, and sine and cosine, stay in float32.

    Raises:
        RefusedInputError: the source may not be opened.
        StepError: a request does not run, or the float16 graph gives no finite answer to it.
    """
    if not feeds:
        raise StepError("float16 is checked on real inputs and none were given. Add --data.")
    model = load_onnx(source, trusted=True)
    pairs = any(node.op_type in _PAIRS for node in model.graph.node)
    model = raise_opset(model, _OPSET_OF_PAIRS if pairs else _OPSET)
    lift_constants(model)
    name_nodes(model)
    infer_types(model)
    how = Observing(
        scratch=destination.with_name("scratch.onnx"),
        threads=threads,
        seen=lambda seen: progress(0.8 * seen / len(feeds), f"ranges: {seen} of {len(feeds)}"),
    )
    kept = nodes_to_keep(model, largest_values(model, feeds, how))
    turned = angle_nodes(model) if angles else ()
    nodes = len(model.graph.node)
    made = half_graph(model, [*(one.name for one in kept), *turned])
    del model
    save_onnx(made, destination)
    del made
    progress(0.9, "comparing with float32")
    difference = _difference(source, destination, feeds[:_CHECKED], threads)
    return Halved(nodes=nodes, kept=kept, angles=len(turned), difference=difference)


def largest_values(
    model: onnx.ModelProto, feeds: Iterable[Feed], how: Observing
) -> dict[str, float]:
    """The largest magnitude of every float value over the requests, weights among them.

    Numbers that stand for infinity are left out.

    Raises:
        StepError: a request does not run, or gives something that is no number.
    """
    found = {
        tensor.name: _largest(onnx.numpy_helper.to_array(tensor))
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
    }
    names = _last_first(model, _float_values(model) - set(found))
    found |= dict.fromkeys(names, 0.0)

    with largest_of(model, names) as outputs:
        whose = {output: name for name, output in outputs.items()}

        def take(output: str, values: Array) -> None:
            found[whose[output]] = max(found[whose[output]], _largest(values))

        watch_values(model, list(whose), feeds, how, take)
    return found


def nodes_to_keep(model: onnx.ModelProto, largest: Mapping[str, float]) -> tuple[Kept, ...]:
    """The nodes that read or give a value too near the end of float16's range."""
    kept = []
    for node in model.graph.node:
        worst = max((largest.get(name, 0.0) for name in (*node.input, *node.output)), default=0.0)
        if worst > LARGEST / HEADROOM:
            kept.append(Kept(name=node.name, largest=worst))
    return tuple(kept)


def angle_nodes(model: onnx.ModelProto) -> tuple[str, ...]:
    """Sine and cosine, and what their angle is worked out by, as far as no weights are in it."""
    producers = {name: node for node in model.graph.node for name in node.output}
    found: dict[str, None] = {}
    waiting = [node for node in model.graph.node if node.op_type in _TURNING]
    while waiting:
        node = waiting.pop()
        if node.name in found:
            continue
        found[node.name] = None
        before = (producers.get(name) for name in node.input)
        waiting += [one for one in before if one is not None and one.op_type in _BEFORE_ANGLES]
    return tuple(found)


def half_graph(source: onnx.ModelProto, kept: Sequence[str]) -> onnx.ModelProto:
    """The graph in float16 but for the nodes named and what is between them.

    The source is left as it is.
    """
    model = onnx.ModelProto()
    model.CopyFrom(source)
    # It tells of every weight that is cut off.
    logging.getLogger(convert_float_to_float16.__module__).setLevel(logging.ERROR)
    made: onnx.ModelProto = convert_float_to_float16(
        model,
        keep_io_types=True,
        disable_shape_infer=True,
        op_block_list=list(DEFAULT_OP_BLOCK_LIST),
        node_block_list=list(kept),
    )
    del made.graph.value_info[:]
    _join_kept(made.graph)
    return made


def _join_kept(graph: onnx.GraphProto) -> None:
    """Between two nodes that stay float32 a value stays so too.

    The rewriting casts what one of them gives to float16 and back for the next one, which is where
    a value that does not fit would be lost.
    """
    halved = {n.output[0]: n.input[0] for n in graph.node if _casts_to(n, onnx.TensorProto.FLOAT16)}
    for node in graph.node:
        if _casts_to(node, onnx.TensorProto.FLOAT) and node.input[0] in halved:
            node.input[0] = halved[node.input[0]]
    read = {name for node in nodes_of(graph) for name in node.input}
    read |= {value.name for value in graph.output}
    unread = [at for at, n in enumerate(graph.node) if n.output[0] in halved.keys() - read]
    for at in reversed(unread):
        del graph.node[at]


def _casts_to(node: onnx.NodeProto, kind: int) -> bool:
    return node.op_type == "Cast" and attribute(node, "to") == kind


def _difference(one: Path, other: Path, feeds: Sequence[Feed], threads: int) -> float:
    try:
        answers = [_answers(path, feeds, threads) for path in (one, other)]
    except RUN_ERRORS as error:
        said = safe_text(str(error), 300)
        raise StepError(f"The float16 graph does not run: {said}. The float32 form stands.") from (
            error
        )
    found = largest_difference(*answers)
    if not np.isfinite(found):
        raise StepError(
            "The float16 graph gives answers that are not finite where float32's are: a value "
            "leaves float16's range. The float32 form stands."
        )
    return found


def _answers(path: Path, feeds: Sequence[Feed], threads: int) -> list[list[Array]]:
    session = open_graph(path, threads)
    names = {given.name for given in session.get_inputs()}
    asked = [{name: array for name, array in feed.items() if name in names} for feed in feeds]
    return [[np.asarray(out) for out in session.run(None, feed)] for feed in asked]


def _last_first(model: onnx.ModelProto, names: set[str]) -> list[str]:
    """In the reverse of the order in which they come about.

    ONNX Runtime goes back from the last of a graph's ends: so each value is looked at as soon as it
    is there. The other way round a UNet's ranges took 1.8 GiB in the place of 1.0.
    """
    made = [name for node in model.graph.node for name in node.output if name in names]
    return [*reversed(made), *sorted(names.difference(made))]


def _float_values(model: onnx.ModelProto) -> set[str]:
    graph = model.graph
    floats = {
        value.name
        for value in (*graph.value_info, *graph.output, *graph.input)
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    touched = {name for node in graph.node for name in (*node.input, *node.output)}
    return floats & touched


def _largest(values: Array) -> float:
    if np.isnan(values).any():
        raise ValueError("a value is no number")
    sizes = np.abs(values)
    return float(np.max(sizes, initial=0.0, where=sizes < MASKED))
