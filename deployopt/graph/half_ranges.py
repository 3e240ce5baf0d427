"""Which nodes of a graph float16 would spoil, by what their values are on real requests.

In: a float graph whose types are known, and requests. Out: nodes whose values come too near either
end of float16's range; and nodes that work out angles, of which float16 leaves no digit behind the
point where they are of hundreds of radians.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
import onnx
import onnx.numpy_helper

from deployopt.core.samples import Array, Feed
from deployopt.graph.calibrating import Observing, watch_values
from deployopt.graph.extremes import MASKED, largest_of
from deployopt.graph.floats import float_values
from deployopt.graph.index import attribute

LARGEST: Final = 65504.0
"""Of float16."""
HEADROOM: Final = 4.0
"""Other requests may give values so many times as large as the largest that were seen."""
SMALLEST: Final = 2.0**-14
"""Below it float16 has fewer digits, and from a tenth of a millionth down none."""
PAIRS: Final = frozenset({"QuantizeLinear", "DequantizeLinear"})
_WITHOUT_ZERO: Final = 2
"""Inputs of a node that dequantizes by scale alone."""
_TURNING: Final = frozenset({"Sin", "Cos"})
_BEFORE_ANGLES: Final = frozenset(
    {
        "Cast", "Mul", "Div", "Add", "Sub", "Neg", "Exp", "Unsqueeze", "Squeeze", "Reshape",
        "Expand", "Concat", "Slice", "Gather", "Identity",
    }
)  # fmt: skip
_SUMS: Final = frozenset({"Add", "Clip", "Concat", "Max", "Min", "Sub", "Sum", "Where"})
"""What is small beside the rest of their result does not count in it."""
_FACTORS: Final = 2
"""So many inputs of a product or norm are multiplied."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A node that stays in float32, and the largest value that it was seen with."""

    name: str
    largest: float


def largest_values(
    model: onnx.ModelProto, feeds: Iterable[Feed], how: Observing
) -> dict[str, float]:
    """The largest magnitude of every float value over the requests, weights among them.

    Numbers that stand for infinity are left out.

    Raises:
        StepError: a request does not run, or gives something that is no number.
    """
    found = {
        tensor.name: largest_magnitude(onnx.numpy_helper.to_array(tensor))
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
    }
    names = _last_first(model, float_values(model) - set(found))
    found |= dict.fromkeys(names, 0.0)

    with largest_of(model, names) as outputs:
        whose = {output: name for name, output in outputs.items()}

        def take(output: str, values: Array) -> None:
            found[whose[output]] = max(found[whose[output]], largest_magnitude(values))

        watch_values(model, list(whose), feeds, how, take)
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


def weights_back(source: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with the weights behind Q/DQ pairs as floats, so that no request turns them back.

    The source is left as it is, and given back where there are none.
    """
    if not any(node.op_type in PAIRS for node in source.graph.node):
        return source
    model = onnx.ModelProto()
    model.CopyFrom(source)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for at in reversed(range(len(model.graph.node))):
        node = model.graph.node[at]
        if node.op_type == "DequantizeLinear" and set(node.input) <= constants.keys():
            found = [onnx.numpy_helper.to_array(constants[name]) for name in node.input]
            axis = int(str(attribute(node, "axis", 1)))
            back = onnx.numpy_helper.from_array(_dequantized(found, axis), node.output[0])
            model.graph.initializer.append(back)
            del model.graph.node[at]
    return model


def largest_magnitude(values: Array) -> float:
    """Of the numbers that do not stand for infinity; raises ValueError where one is no number."""
    if np.isnan(values).any():
        raise ValueError("a value is no number")
    sizes = np.abs(values)
    return float(np.max(sizes, initial=0.0, where=sizes < MASKED))


def _dequantized(found: Sequence[Array], axis: int) -> Array:
    """Of weights, scale and, where there is one, the zero point."""
    values, scale = found[0].astype(np.float32), found[1].astype(np.float32)
    shape = [1] * values.ndim
    if scale.ndim:
        shape[axis] = -1
    if len(found) > _WITHOUT_ZERO:
        values = values - found[2].astype(np.float32).reshape(shape)
    return np.asarray(values * scale.reshape(shape), np.float32)


def _small_matters(node: onnx.NodeProto, sizes: list[float]) -> list[float]:
    """Of a sum only what it gives; a bias, the third input, is added to what is larger.

    A pair's scale is of the type of what it scales.
    """
    if node.op_type in PAIRS:
        return []
    given = sizes[len(node.input) :]
    return given if node.op_type in _SUMS else [*sizes[: min(len(node.input), _FACTORS)], *given]


def _last_first(model: onnx.ModelProto, names: set[str]) -> list[str]:
    """In the reverse of the order in which they come about.

    ONNX Runtime goes back from the last of a graph's ends: so each value is looked at as soon as it
    is there, and let go of.
    """
    made = [name for node in model.graph.node for name in node.output if name in names]
    return [*reversed(made), *sorted(names.difference(made))]
