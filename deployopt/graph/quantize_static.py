"""Static int8 in Q/DQ form: s8 weights, u8 activations with ranges from real inputs (U8S8).

A float file and requests go in, an int8 file comes out. BatchNorm is folded first. Placing the
Q/DQ pairs so that ONNX Runtime fuses them is ONNX Runtime's own quantizer's work; the calibration
is ours, because its calibrators keep what they have seen.
"""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec
import numpy as np
import onnx
import onnx.shape_inference
import onnxruntime
from onnxruntime.quantization import QDQQuantizer, QuantType, TensorData

from deployopt.core.errors import StepError
from deployopt.core.samples import Feed
from deployopt.graph.calibrating import Bounds, Calibration, Observing, observe, range_of
from deployopt.graph.naming import name_nodes
from deployopt.graph.opsets import raise_opset
from deployopt.graph.ranges import RunningRange
from deployopt.graph.reading import load_onnx
from deployopt.graph.writing import save_onnx

PER_CHANNEL_OPSET: Final = 13
OP_TYPES: Final = (
    "Add", "AveragePool", "Clip", "Concat", "Conv", "Flatten", "Gemm", "GlobalAveragePool",
    "LeakyRelu", "MatMul", "MaxPool", "Mul", "Relu", "Reshape", "Resize", "Sigmoid", "Transpose",
)  # fmt: skip
MULTIPLIERS: Final = frozenset({"Conv", "Gemm", "MatMul"})
_INFERRED: Final = ("onnx.infer", "onnxruntime.quant")


class StaticOptions(msgspec.Struct, frozen=True, kw_only=True):
    """As the step of the same name."""

    per_channel: bool = True
    reduce_range: bool = False
    calibration: Calibration = "percentile"
    percentile: float = 99.999
    exclude: tuple[str, ...] = ()
    threads: int = 1


class Calibrated(msgspec.Struct, frozen=True, kw_only=True):
    """A float graph that is ready for Q/DQ pairs, and what its values were on real inputs."""

    model: onnx.ModelProto
    ranges: dict[str, RunningRange]


def quantize_static(
    source: Path,
    destination: Path,
    feeds: Sequence[Feed],
    options: StaticOptions,
    progress: Callable[[float, str], None],
) -> tuple[str, ...]:
    """Write the int8 model; the names of the multiplying nodes that were quantized.

    Raises:
        RefusedInputError: the source may not be opened.
        StepError: nothing to quantize or to calibrate with, or a request does not run.
    """
    found = calibrate_static(
        source, destination.with_name("scratch.onnx"), feeds, options, progress
    )
    chosen = calibrated_nodes(found, options)
    bounds = bounds_of(found, options)
    names = [node.name for node in chosen]
    save_onnx(place_pairs(found.model, names, bounds, options), destination)
    return tuple(node.name for node in chosen if node.op_type in MULTIPLIERS)


def calibrate_static(
    source: Path,
    scratch: Path,
    feeds: Sequence[Feed],
    options: StaticOptions,
    progress: Callable[[float, str], None],
) -> Calibrated:
    """Run the requests once; any choice of nodes and any calibration can be placed from it.

    Of the options only `exclude` and `threads` count here: values that nobody would quantize are
    not looked at. `scratch` is a file name in a folder that may be written; nothing stays there.

    Raises:
        RefusedInputError: the source may not be opened.
        StepError: nothing to quantize or to calibrate with, or a request does not run.
    """
    if not feeds:
        raise StepError("Static quantization calibrates on real inputs and none were given.")
    model = prepared(source, scratch)
    chosen = chosen_nodes(model, options)
    if not any(node.op_type in MULTIPLIERS for node in chosen):
        raise StepError(
            "The graph has no convolution or matrix product that could be quantized. "
            "The float forms stand."
        )
    how = Observing(
        scratch=scratch,
        threads=options.threads,
        seen=lambda seen: progress(seen / len(feeds), f"calibrating: {seen} of {len(feeds)}"),
    )
    return Calibrated(model=model, ranges=observe(model, _values(model, chosen), feeds, how))


def chosen_nodes(model: onnx.ModelProto, options: StaticOptions) -> list[onnx.NodeProto]:
    """The nodes that are quantized, in the graph's order."""
    return [
        node
        for node in model.graph.node
        if node.op_type in OP_TYPES
        and not any(fnmatchcase(node.name, pattern) for pattern in options.exclude)
    ]


def calibrated_nodes(found: Calibrated, options: StaticOptions) -> list[onnx.NodeProto]:
    """Those of them whose values all have a range."""
    return [
        node
        for node in chosen_nodes(found.model, options)
        if found.ranges.keys() >= set(_values(found.model, [node]))
    ]


def prepared(source: Path, scratch: Path) -> onnx.ModelProto:
    """The float graph with constants folded, BatchNorm in its convolutions, and shapes known."""
    model = raise_opset(load_onnx(source, trusted=True), PER_CHANNEL_OPSET)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    settings.optimized_model_filepath = str(scratch.with_suffix(".folded.onnx"))
    folded = Path(settings.optimized_model_filepath)
    try:
        save_onnx(model, scratch)
        onnxruntime.InferenceSession(scratch, settings, providers=["CPUExecutionProvider"])
        model = load_onnx(folded, trusted=True)
    finally:
        for path in (scratch, scratch.with_name(scratch.name + ".data"), folded):
            path.unlink(missing_ok=True)
    name_nodes(model)
    return onnx.shape_inference.infer_shapes(model)


def _values(model: onnx.ModelProto, chosen: Sequence[onnx.NodeProto]) -> list[str]:
    """Float values that the chosen nodes read or give, weights left out."""
    graph = model.graph
    floats = {
        value.name
        for value in (*graph.value_info, *graph.output, *graph.input)
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    weights = {tensor.name for tensor in graph.initializer}
    touched = {name for node in chosen for name in (*node.input, *node.output)}
    return sorted((touched & floats) - weights)


def bounds_of(found: Calibrated, options: StaticOptions) -> dict[str, Bounds]:
    """Lowest and highest of every value, by the options' calibration."""
    return {
        name: range_of(seen, options.calibration, options.percentile)
        for name, seen in found.ranges.items()
    }


def place_pairs(
    source: onnx.ModelProto,
    names: Sequence[str],
    bounds: Mapping[str, Bounds],
    options: StaticOptions,
) -> onnx.ModelProto:
    """The graph with Q/DQ pairs around the named nodes; the source is left as it is."""
    pairs = Pairs(
        per_channel=options.per_channel,
        reduce_range=options.reduce_range,
        activations=QuantType.QUInt8,
        operators=OP_TYPES,
    )
    return insert_pairs(source, names, bounds, pairs)


class Pairs(msgspec.Struct, frozen=True, kw_only=True):
    """Of which form pairs are; weights are s8, and `more` are the library's own options."""

    per_channel: bool
    reduce_range: bool = False
    activations: QuantType
    operators: Sequence[str]
    more: Mapping[str, object] = MappingProxyType({})


def insert_pairs(
    source: onnx.ModelProto, names: Sequence[str], bounds: Mapping[str, Bounds], pairs: Pairs
) -> onnx.ModelProto:
    """The graph with such pairs at the named nodes; the source is left as it is."""
    model = onnx.ModelProto()
    model.CopyFrom(source)
    key, value = _INFERRED
    model.metadata_props.add(key=key, value=value)
    quantizer = QDQQuantizer(
        model,
        pairs.per_channel,
        pairs.reduce_range,
        QuantType.QInt8,
        pairs.activations,
        {
            name: TensorData(lowest=np.float32(low), highest=np.float32(high))
            for name, (low, high) in bounds.items()
        },
        list(names),
        [],
        list(pairs.operators),
        dict(pairs.more),
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    quantized: onnx.ModelProto = quantizer.model.model
    del quantized.metadata_props[:]
    return quantized
