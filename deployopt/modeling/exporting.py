"""A Hugging Face folder to an ONNX file, checked against the model it came from.

Batch and length stay free. The check runs real samples, at their own lengths and padded together,
through torch before the export and through ONNX Runtime after it; agreement.py has the bound.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import torch

from deployopt.core.freeing import release_memory
from deployopt.core.interface import Interface
from deployopt.core.samples import Array, Feed
from deployopt.modeling.agreement import check_agreement, run_outputs
from deployopt.modeling.dummies import check_feeds, trace_feed
from deployopt.modeling.places import FirstOfEquals, in_order
from deployopt.modeling.threads import torch_threads
from deployopt.modeling.tracing import Exporter, Trace, trace_to_onnx
from deployopt.modeling.wrapping import dynamic_axes, input_names, opened, tensors, wrapped

CHECKED_SAMPLES: Final = 4


Attach: TypeAlias = Callable[[Path, Mapping[str, Array], Path], None]


class ExportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """As the step of the same name."""

    opset: int = 17
    exporter: Exporter = "torchscript"
    threads: int = 1
    attach: Attach


def export_folder(
    folder: Path,
    interface: Interface,
    destination: Path,
    options: ExportOptions,
    samples: Sequence[Feed] = (),
) -> float:
    """Write `destination`; the greatest difference from the model over the samples.

    `options.attach` puts weights into the traced file (graph/attaching.py).

    Raises:
        RefusedInputError: the folder may not be opened.
        StepError: it does not load or export, or the graph does not say what the model says.
    """
    names = input_names(interface)
    feeds = check_feeds(interface, samples, CHECKED_SAMPLES)
    trace = Trace(
        inputs=names,
        outputs=interface.outputs,
        axes=dynamic_axes(interface),
        opset=options.opset,
        exporter=options.exporter,
    )
    with torch_threads(options.threads):
        traced = destination.with_name("traced.onnx")
        expected, weights = _ask_and_trace(folder, interface, feeds, trace, traced)
        options.attach(traced, weights, destination)
        traced.unlink()
        del weights
    release_memory()
    # The model is gone by now: torch and ONNX Runtime never hold the weights together.
    found = run_outputs(destination, feeds, options.threads, interface.outputs)
    if interface.detects:
        found = in_order(expected, found)
    return max(
        check_agreement(one, other, f"The exported graph's output {name!r}")
        for name, one, other in zip(interface.outputs, expected, found, strict=True)
    )


def _ask_and_trace(
    folder: Path, interface: Interface, feeds: Sequence[Feed], trace: Trace, traced: Path
) -> tuple[list[list[Array]], dict[str, Array]]:
    """What the model answers, output by output, and the weights of its graph."""
    model = wrapped(opened(folder, interface), interface)
    with torch.inference_mode(), FirstOfEquals():
        answers = [model(*tensors(feed, trace.inputs)) for feed in feeds]
    each = [one if isinstance(one, tuple) else (one,) for one in answers]
    expected = [[tensor.numpy() for tensor in output] for output in zip(*each, strict=True)]
    example = tensors(trace_feed(interface), trace.inputs)
    return expected, trace_to_onnx(model, example, trace, traced)
