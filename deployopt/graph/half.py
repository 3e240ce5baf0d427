"""A float32 graph in float16, with the nodes that it would spoil kept in float32.

A float file and real requests go in; a file of mixed floats comes out, its inputs and outputs still
float32. The rewriting is onnxruntime.transformers' own; which nodes it leaves alone is decided by
half_ranges.py. ONNX Runtime on a CPU works such a graph out in float32 between roundings, so that
an overflow would not show there: that is what the ranges are for.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import onnx
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

from deployopt.core.errors import StepError
from deployopt.core.samples import Array, Feed
from deployopt.core.text import safe_text
from deployopt.graph.calibrating import Observing
from deployopt.graph.half_checks import require_looked_at
from deployopt.graph.half_ranges import (
    PAIRS,
    Kept,
    angle_nodes,
    largest_values,
    nodes_to_keep,
    weights_back,
)
from deployopt.graph.index import attribute
from deployopt.graph.inferring import infer_types
from deployopt.graph.naming import name_nodes
from deployopt.graph.opsets import raise_opset
from deployopt.graph.reading import load_onnx
from deployopt.graph.rewrite_constants import give_constant_outputs, lift_constants
from deployopt.graph.running import RUN_ERRORS, largest_float_difference, open_graph
from deployopt.graph.tensors import nodes_of
from deployopt.graph.writing import save_onnx

_OPSET: Final = 13
_OPSET_OF_PAIRS: Final = 19
"""From here on the scales of Q/DQ pairs may be float16."""
_CHECKED: Final = 32


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
    pairs = any(node.op_type in PAIRS for node in model.graph.node)
    model = raise_opset(model, _OPSET_OF_PAIRS if pairs else _OPSET)
    lift_constants(model)
    name_nodes(model)
    infer_types(model)
    require_looked_at(model)
    how = Observing(
        scratch=destination.with_name("scratch.onnx"),
        threads=threads,
        seen=lambda seen: progress(0.8 * seen / len(feeds), f"ranges: {seen} of {len(feeds)}"),
    )
    kept = nodes_to_keep(model, largest_values(weights_back(model), feeds, how))
    turned = angle_nodes(model) if angles else ()
    nodes = len(model.graph.node)
    made = half_graph(model, [*(one.name for one in kept), *turned])
    del model
    save_onnx(made, destination)
    del made
    progress(0.9, "comparing with float32")
    difference = _difference(source, destination, feeds[:_CHECKED], threads)
    return Halved(nodes=nodes, kept=kept, angles=len(turned), difference=difference)


def half_graph(source: onnx.ModelProto, kept: Sequence[str]) -> onnx.ModelProto:
    """The graph in float16 but for the nodes named and what is between them.

    The source is left as it is.
    """
    model = onnx.ModelProto()
    model.CopyFrom(source)
    # Its cast would make what the weight is called already.
    give_constant_outputs(model)
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
    found = largest_float_difference(*answers)
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
