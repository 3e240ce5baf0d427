"""Static int8 as TensorRT takes it: explicit Q/DQ pairs, signed and symmetric throughout (S8S8).

A float file and requests go in, a file with pairs before every product with constant weights comes
out: activations by one scale, weights by one a channel, no zero points, biases left in float. Other
nodes stay in float, and so do products of two activations. A CPU's artifact, with its unsigned
activations, is another branch from the same float file.
"""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnxruntime.quantization import QDQQuantizer, QuantType, TensorData

from deployopt.core.errors import StepError
from deployopt.core.samples import Feed
from deployopt.graph.calibrating import Bounds
from deployopt.graph.quantize_static import (
    MULTIPLIERS,
    Calibrated,
    StaticOptions,
    bounds_of,
    calibrate_static,
)
from deployopt.graph.writing import save_onnx

OPTIONS: Final = {
    "ActivationSymmetric": True,
    "WeightSymmetric": True,
    # A bias of 32-bit integers is refused by TensorRT's parser.
    "QuantizeBias": False,
    # Pairs stand before products only: what follows one is fused with it in float.
    "OpTypesToExcludeOutputQuantization": sorted(MULTIPLIERS),
    "DedicatedQDQPair": False,
}
_INFERRED: Final = ("onnx.infer", "onnxruntime.quant")


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
    save_onnx(place_symmetric(found.model, names, bounds_of(found, options)), destination)
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


def place_symmetric(
    source: onnx.ModelProto, names: Sequence[str], bounds: Mapping[str, Bounds]
) -> onnx.ModelProto:
    """The graph with pairs before the named nodes; the source is left as it is."""
    model = onnx.ModelProto()
    model.CopyFrom(source)
    key, value = _INFERRED
    model.metadata_props.add(key=key, value=value)
    quantizer = QDQQuantizer(
        model,
        True,  # noqa: FBT003 -- per channel; the library's own order
        False,  # noqa: FBT003 -- reduce range
        QuantType.QInt8,
        QuantType.QInt8,
        {
            name: TensorData(lowest=np.float32(low), highest=np.float32(high))
            for name, (low, high) in bounds.items()
        },
        list(names),
        [],
        sorted(MULTIPLIERS),
        dict(OPTIONS),
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    quantized: onnx.ModelProto = quantizer.model.model
    del quantized.metadata_props[:]
    return quantized
