"""The precision found in an OpenVINO model: the types of the weights that are multiplied with.

As graph/precision.py does of ONNX. Weights lie in constants, behind a Convert, a scale and perhaps
a zero point or a new shape.
"""

import math
from collections import Counter
from typing import Any, Final

from deployopt.core.artifact import Precision

NEARLY_ALL: Final = 0.95
_MULTIPLIERS: Final = frozenset(
    {"MatMul", "Convolution", "GroupConvolution", "ConvolutionBackpropData"}
)
_PASSED_THROUGH: Final = frozenset({"Convert", "Multiply", "Subtract", "Reshape", "Transpose"})
_PRECISIONS: Final = {
    "f32": Precision.FP32,
    "f16": Precision.FP16,
    "bf16": Precision.BF16,
    "i8": Precision.INT8,
    "u8": Precision.INT8,
    "i4": Precision.INT4,
    "u4": Precision.INT4,
}
Node = Any
"""openvino.Node; the package has no types that mypy could follow."""


def multipliers(model: Any) -> list[Node]:  # noqa: ANN401 an openvino.Model
    """Nodes that convolve or multiply matrices, in order."""
    return [node for node in model.get_ordered_ops() if node.get_type_name() in _MULTIPLIERS]


def is_quantized(node: Node) -> bool:
    """Whether its first input is quantized: 8-bit weights alone are multiplied as float."""
    source = node.input(0).get_source_output().get_node()
    while source.get_type_name() in {"Reshape", "Transpose", "Unsqueeze", "Squeeze"}:
        source = source.input(0).get_source_output().get_node()
    return bool(source.get_type_name() == "FakeQuantize")


def precision_of_openvino(model: Any) -> Precision:  # noqa: ANN401 an openvino.Model
    """The precision of nearly all weights, else MIXED; FP32 where it multiplies with none."""
    counts: Counter[Precision] = Counter()
    seen: set[str] = set()
    for node in multipliers(model):
        for port in node.inputs():
            weight = _weight_behind(port.get_source_output().get_node())
            if weight is None or weight.get_name() in seen:
                continue
            seen.add(weight.get_name())
            kind = _PRECISIONS.get(weight.get_element_type().get_type_name())
            if kind is not None:
                counts[kind] += math.prod(weight.get_output_shape(0))
    total = sum(counts.values())
    if not total:
        return Precision.FP32
    most, count = counts.most_common(1)[0]
    return most if count >= NEARLY_ALL * total else Precision.MIXED


def _weight_behind(node: Node) -> Node | None:
    """The constant that a value is, or is a dequantized or reshaped form of."""
    while node.get_type_name() != "Constant":
        if node.get_type_name() not in _PASSED_THROUGH:
            return None
        node = node.input(0).get_source_output().get_node()
    return node
