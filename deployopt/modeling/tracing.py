"""A torch module to an ONNX file through either of torch's exporters; nothing is checked here.

The TorchScript exporter is the default: its graph of a transformer runs 10 % faster than the
other's. It is deprecated, so the newer one stands beside it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec
import torch
from torch import Tensor, nn

from deployopt.core.errors import StepError
from deployopt.core.samples import Array
from deployopt.modeling.quiet import quiet_export
from deployopt.modeling.weightless import Weightless

Exporter: TypeAlias = Literal["torchscript", "dynamo"]
OPSETS: Final[Mapping[Exporter, range]] = {"torchscript": range(11, 21), "dynamo": range(18, 24)}

Axes: TypeAlias = Mapping[str, Mapping[int, str]]


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """How a module is traced: names of its inputs and outputs, and the axes that may vary.

    Of an output that no axes are given of, the first is the batch.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    axes: dict[str, dict[int, str]]
    opset: int
    exporter: Exporter


def trace_to_onnx(
    module: nn.Module, example: Sequence[Tensor], trace: Trace, path: Path
) -> dict[str, Array]:
    """Write the module's graph to `path`; the weights that are inputs of that graph, by name.

    The weights share the module's memory. Raises StepError, with torch's reason, where torch
    cannot export the module.
    """
    module.eval()
    write = _torchscript if trace.exporter == "torchscript" else _dynamo
    try:
        with quiet_export(), torch.no_grad():
            return write(module, tuple(example), trace, path)
    except (RuntimeError, ValueError, TypeError, torch.onnx.OnnxExporterError) as error:
        raise StepError(
            f"torch's {trace.exporter} exporter cannot export this model at opset {trace.opset}: "
            f"{_first_line(error)}. Try the other exporter."
        ) from error


def _torchscript(
    module: nn.Module, example: tuple[Tensor, ...], trace: Trace, path: Path
) -> dict[str, Array]:
    axes = {**{name: {0: "batch"} for name in trace.outputs if trace.axes}, **trace.axes}
    bare = Weightless(module, len(example))
    torch.onnx.export(
        bare,
        (*example, *bare.weights.values()),
        str(path),
        dynamo=False,
        opset_version=trace.opset,
        input_names=[*trace.inputs, *bare.weights],
        output_names=list(trace.outputs),
        dynamic_axes=axes,
    )
    return {name: tensor.numpy() for name, tensor in bare.weights.items()}


def _dynamo(
    module: nn.Module, example: tuple[Tensor, ...], trace: Trace, path: Path
) -> dict[str, Array]:
    dims = {name: torch.export.Dim(name) for axes in trace.axes.values() for name in axes.values()}
    shapes = [
        {axis: dims[name] for axis, name in trace.axes.get(given, {}).items()}
        for given in trace.inputs
    ]
    program = torch.onnx.export(
        module,
        example,
        dynamo=True,
        verbose=False,
        opset_version=trace.opset,
        input_names=list(trace.inputs),
        output_names=list(trace.outputs),
        dynamic_shapes=(tuple(shapes),) if _is_variadic(module) else tuple(shapes),
    )
    if program is None:
        raise StepError("torch's dynamo exporter gave no program.")
    program.save(str(path), external_data=False)
    return {}


def _is_variadic(module: nn.Module) -> bool:
    """Whether forward is `forward(self, *inputs)`, which torch.export sees as one tuple."""
    return bool(module.forward.__code__.co_flags & 0x04)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__
