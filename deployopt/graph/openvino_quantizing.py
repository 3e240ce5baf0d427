"""NNCF's static int8 of a float ONNX file, in OpenVINO's form.

A float file and requests go in; model.xml and model.bin come out, with s8 weights and 8-bit
activations whose ranges are those of the requests. Silent: NNCF's bars and messages go nowhere.
"""

import contextlib
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.errors import StepError
from deployopt.core.quiet import imported_quietly
from deployopt.core.samples import Feed
from deployopt.graph.describing import describe_onnx
from deployopt.graph.openvino_converting import (
    IR_FILE,
    OPENVINO_ERRORS,
    OpenvinoModel,
    read_openvino,
    save_openvino,
)
from deployopt.graph.openvino_precision import is_quantized, multipliers, precision_of_openvino
from deployopt.graph.reading import read_graph

with imported_quietly():
    import nncf
    from nncf.errors import (
        BufferFullError,
        InternalError,
        UnsupportedModelError,
        ValidationError,
    )

_NNCF_ERRORS: Final = (
    BufferFullError,
    InternalError,
    UnsupportedModelError,
    ValidationError,
    KeyError,
    *OPENVINO_ERRORS,
)
_BIASLESS: Final = "/WithoutBiases"
"""What OpenVINO adds to the name of a Gemm whose addition it took out."""


class OpenvinoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """As the step QuantizeOpenvino."""

    transformer: bool = True
    reduce_range: bool = False
    preset: Literal["mixed", "performance"] = "mixed"
    exclude: tuple[str, ...] = ()


class OpenvinoQuantized(msgspec.Struct, frozen=True, kw_only=True):
    """How many multiplying nodes became int8, and the precision found in the files."""

    quantized: int
    precision: Precision


def quantize_for_openvino(
    source: Path,
    folder: Path,
    feeds: Sequence[Feed],
    options: OpenvinoOptions,
    progress: Callable[[float, str], None],
) -> OpenvinoQuantized:
    """Write the files.

    Raises:
        RefusedInputError: the source may not be opened.
        StepError: nothing to quantize or to calibrate with, or NNCF cannot.
    """
    if not feeds:
        raise StepError("Static quantization calibrates on real inputs and none were given.")
    progress(0.0, "reading the graph")
    model = read_openvino(source, describe_onnx(source))
    excluded = _excluded(model, options, _names_by_value(source))
    if len(excluded) == len(multipliers(model)):
        raise StepError(
            "The graph has no convolution or matrix product that could be quantized. "
            "The float forms stand."
        )
    progress(0.1, f"calibrating on {len(feeds)} samples")
    quantized = _quantize(model, feeds, excluded, options)
    save_openvino(quantized, folder / IR_FILE)
    names = [node for node in multipliers(quantized) if is_quantized(node)]
    if not names:
        raise StepError(f"NNCF found nothing to quantize in {source}. The float form stands.")
    return OpenvinoQuantized(quantized=len(names), precision=precision_of_openvino(quantized))


def _names_by_value(source: Path) -> dict[str, str]:
    """ONNX value to the name of the node that gives it."""
    return {value: node.name for node in read_graph(source).graph.node for value in node.output}


def _excluded(
    model: OpenvinoModel, options: OpenvinoOptions, by_value: Mapping[str, str]
) -> list[str]:
    """Names that NNCF leaves in float; patterns are of ONNX's names, which are not always kept.

    With 7-bit weights a sum of two products fits 16 bits; a product of two activations has no
    7-bit side, so it stays in float where that is asked for.
    """
    names: list[str] = []
    for node in multipliers(model):
        name = node.get_friendly_name()
        known = {by_value.get(value, name) for value in node.output(0).get_names()}
        known |= {name, name.removesuffix(_BIASLESS)}
        named = any(fnmatchcase(n, p) for n in known for p in options.exclude)
        if named or (options.reduce_range and not _has_weights(node)):
            names.append(name)
    return names


def _has_weights(node: Any) -> bool:  # noqa: ANN401 an openvino.Node
    sources = (port.get_source_output().get_node() for port in node.inputs())
    return any(_constant(source) for source in sources)


def _constant(node: Any) -> bool:  # noqa: ANN401 an openvino.Node
    """Whether it depends on constants alone."""
    if node.get_type_name() == "Constant":
        return True
    ports = node.inputs()
    return bool(ports) and all(_constant(p.get_source_output().get_node()) for p in ports)


def _quantize(
    model: OpenvinoModel, feeds: Sequence[Feed], excluded: list[str], options: OpenvinoOptions
) -> OpenvinoModel:
    fix = nncf.OverflowFix.ENABLE if options.reduce_range else nncf.OverflowFix.DISABLE
    preset = {
        "mixed": nncf.QuantizationPreset.MIXED,
        "performance": nncf.QuantizationPreset.PERFORMANCE,
    }[options.preset]
    nncf.set_log_level(logging.CRITICAL)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return nncf.quantize(
                model,
                nncf.Dataset([dict(feed) for feed in feeds]),
                preset=preset,
                subset_size=len(feeds),
                model_type=nncf.ModelType.TRANSFORMER if options.transformer else None,
                ignored_scope=nncf.IgnoredScope(names=excluded) if excluded else None,
                advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=fix),
            )
    except _NNCF_ERRORS as error:
        words = " ".join(str(error).split())[:400]
        raise StepError(f"NNCF could not quantize the graph: {words}") from error
