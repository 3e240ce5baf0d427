"""A float32 graph in float16, with the nodes whose values would not fit kept in float32.

A float file and real requests go in; a file of mixed floats comes out, its inputs and outputs still
float32. The rewriting is onnxruntime.transformers' own; which nodes it leaves alone is decided
here, by what their values were on the requests. ONNX Runtime on a CPU works such a graph out in
float32 between roundings, so that an overflow would not show there: that is what the ranges are
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
import onnx.shape_inference
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

from deployopt.core.errors import StepError
from deployopt.core.samples import Array, Feed
from deployopt.core.text import safe_text
from deployopt.graph.calibrating import Observing, watch_values
from deployopt.graph.index import attribute
from deployopt.graph.naming import name_nodes
from deployopt.graph.opsets import raise_opset
from deployopt.graph.reading import load_onnx
from deployopt.graph.rewrite_constants import give_constant_outputs, lift_constants
from deployopt.graph.running import RUN_ERRORS, largest_difference, open_graph
from deployopt.graph.tensors import dense_tensors, nodes_of, subgraphs
from deployopt.graph.writing import save_onnx

LARGEST: Final = 65504.0
"""Of float16."""
HEADROOM: Final = 4.0
"""Other requests may give values so many times as large as the largest that were seen."""
SMALLEST: Final = 2.0**-14
"""Below it float16 has fewer digits, and from a tenth of a millionth down none."""
MASKED: Final = 1e30
"""Beyond it a number stands for minus infinity, as attention masks have it; it may be cut off."""
_OPSET: Final = 13
_OPSET_OF_PAIRS: Final = 19
"""From here on the scales of Q/DQ pairs may be float16."""
_CHECKED: Final = 32
_PAIRS: Final = frozenset({"QuantizeLinear", "DequantizeLinear"})
_MOVES: Final = frozenset(
    {
        "Cast", "Concat", "Constant", "Expand", "Flatten", "Gather", "Identity", "If", "Loop",
        "Reshape", "Scan", "Shape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
    }
)  # fmt: skip
"""What gives no value that it was not given."""
_SUMS: Final = frozenset({"Add", "Clip", "Concat", "Max", "Min", "Sub", "Sum", "Where"})
"""What is small beside the rest of their result does not count in it."""
_FACTORS: Final = 2
"""So many inputs of a product or norm are multiplied."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A node that stays in float32, and the largest value that it was seen with."""

    name: str
    largest: float


class Halved(msgspec.Struct, frozen=True, kw_only=True):
    """What was done: nodes in all, those kept by their range, and how far the answers moved."""

    nodes: int
    kept: tuple[Kept, ...]
    difference: float
    """The greatest of the outputs, relative to their scale where that is over 1."""


def convert_to_half(
    source: Path,
    destination: Path,
    feeds: Sequence[Feed],
    threads: int,
    progress: Callable[[float, str], None],
) -> Halved:
    """Write the float16 model and compare its answers with the source's.

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
    model = onnx.shape_inference.infer_shapes(model)
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
    how = Observing(
        scratch=destination.with_name("scratch.onnx"),
        threads=threads,
        seen=lambda seen: progress(0.8 * seen / len(feeds), f"ranges: {seen} of {len(feeds)}"),
    )
    kept = nodes_to_keep(model, largest_values(model, feeds, how))
    save_onnx(half_graph(model, [one.name for one in kept]), destination)
    progress(0.9, "comparing with float32")
    difference = _difference(source, destination, feeds[:_CHECKED], threads)
    return Halved(nodes=len(model.graph.node), kept=kept, difference=difference)


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
    names = sorted(_float_values(model) - set(found))
    found |= dict.fromkeys(names, 0.0)

    def take(name: str, values: Array) -> None:
        found[name] = max(found[name], _largest(values))

    watch_values(model, names, feeds, how, take)
    return found


def nodes_to_keep(model: onnx.ModelProto, largest: Mapping[str, float]) -> tuple[Kept, ...]:
    """The nodes that read or give a value too near either end of float16's range.

    At the lower end is a value that was never seen as large as the smallest number with all digits.
    """
    kept = []
    for node in model.graph.node:
        sizes = [largest.get(name, 0.0) for name in (*node.input, *node.output)]
        worst = max(sizes, default=0.0)
        faint = [size for size in _small_matters(node, sizes) if 0.0 < size < SMALLEST]
        if worst > LARGEST / HEADROOM:
            kept.append(Kept(name=node.name, largest=worst))
        elif faint:
            kept.append(Kept(name=node.name, largest=min(faint)))
    return tuple(kept)


def _small_matters(node: onnx.NodeProto, sizes: list[float]) -> list[float]:
    """Of a sum only what it gives; a bias, the third input, is added to what is larger.

    A pair's scale is of the type of what it scales.
    """
    if node.op_type in _PAIRS:
        return []
    given = sizes[len(node.input) :]
    return given if node.op_type in _SUMS else [*sizes[: min(len(node.input), _FACTORS)], *given]


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
    # Places and counts that a rounding moved are for the judges of accuracy, as any wrong answer.
    pairs = [
        (a, b)
        for before, after in zip(*answers, strict=True)
        for a, b in zip(before, after, strict=True)
        if a.dtype.kind == "f" and a.shape == b.shape
    ]
    found = largest_difference([[a for a, _ in pairs]], [[b for _, b in pairs]])
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


def _works_in_float32(model: onnx.ModelProto) -> bool:
    """Whether any node does more with a float32 than cast it."""
    floats = _float_values(model)
    floats |= {t.name for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    return any(
        node.op_type != "Cast" and not floats.isdisjoint((*node.input, *node.output))
        for node in nodes_of(model.graph)
    )


def _worked_out_inside(model: onnx.ModelProto) -> str:
    """The first node with a graph that does more with floats than move them; empty for none."""
    for node in model.graph.node:
        for graph in subgraphs(node):
            floats = _floats_of(graph, model)
            works = [one for one in nodes_of(graph) if one.op_type not in _MOVES]
            if any(not floats.isdisjoint((*one.input, *one.output)) for one in works):
                return str(node.name)
    return ""


def _floats_of(graph: onnx.GraphProto, model: onnx.ModelProto) -> set[str]:
    """Float values of a graph within a node, and those around it that it may read."""
    found = {t.name for t in dense_tensors(model) if t.data_type == onnx.TensorProto.FLOAT}
    found |= _floats(model.graph)
    inside = [graph, *(one for node in nodes_of(graph) for one in subgraphs(node))]
    return found.union(*(_floats(one) for one in inside))


def _float_values(model: onnx.ModelProto) -> set[str]:
    touched = {name for node in model.graph.node for name in (*node.input, *node.output)}
    return _floats(model.graph) & touched


def _floats(graph: onnx.GraphProto) -> set[str]:
    return {
        value.name
        for value in (*graph.value_info, *graph.output, *graph.input)
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }


def _largest(values: Array) -> float:
    if np.isnan(values).any():
        raise ValueError("a value is no number")
    sizes = np.abs(values)
    return float(np.max(sizes, initial=0.0, where=sizes < MASKED))
