"""Static int8 as TensorRT takes it: explicit Q/DQ pairs, signed and symmetric throughout (S8S8).

A float file and requests go in, a file with pairs before every product with constant weights comes
out: activations by one scale, weights by one a channel, no zero points, biases left in float. Other
nodes stay in float, and so do products of two activations. A CPU's artifact, with its unsigned
activations, is another branch from the same float file.
"""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from onnxruntime.quantization import QuantType

from deployopt.core.errors import StepError
from deployopt.core.samples import Feed
from deployopt.graph.quantize_static import (
    MULTIPLIERS,
    Calibrated,
    Pairs,
    StaticOptions,
    bounds_of,
    calibrate_static,
    insert_pairs,
)
from deployopt.graph.writing import save_onnx

PAIRS: Final = Pairs(
    per_channel=True,
    activations=QuantType.QInt8,
    operators=sorted(MULTIPLIERS),
    more={
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        # A bias of 32-bit integers is refused by TensorRT's parser.
        "QuantizeBias": False,
        # Pairs stand before products only: what follows one is fused with it in float.
        "OpTypesToExcludeOutputQuantization": sorted(MULTIPLIERS),
        "DedicatedQDQPair": False,
    },
)


def quantize_symmetric(
    source: Path,
    destination: Path,
    feeds: Sequence[Feed],
    options: StaticOptions,
    progress: Callable[[float, str], None],
) -> tuple[str, ...]:
    """Write the int8 model; the names of the products that were quantized.

    Raises:
        RefusedInputError: the source may not be opened.
        StepError: nothing to quantize or to calibrate with, or a request does not run.
    """
    found = calibrate_static(
        source, destination.with_name("scratch.onnx"), feeds, options, progress
    )
    names = products_to_quantize(found, options.exclude)
    if not names:
        raise StepError(
            "The graph has no convolution or matrix product with constant weights that int8 could "
            "gain by. The float forms stand."
        )
    save_onnx(insert_pairs(found.model, names, bounds_of(found, options), PAIRS), destination)
    return names


def products_to_quantize(found: Calibrated, exclude: Sequence[str]) -> tuple[str, ...]:
    """Convolutions and matrix products of a float that was seen with weights of the file."""
    weights = {tensor.name for tensor in found.model.graph.initializer}
    return tuple(
        node.name
        for node in found.model.graph.node
        if node.op_type in MULTIPLIERS
        and node.input[0] in found.ranges
        and node.input[1] in weights
        and not any(fnmatchcase(node.name, pattern) for pattern in exclude)
    )
