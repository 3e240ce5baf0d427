"""A pipeline to three ONNX files, each checked against the network that it came from.

The batch stays free, sizes are the pipeline's own. Each part is checked with what it was asked
while the reference drew a real prompt, step by step, so that the UNet is compared with samples of
every noisiness and not with noise alone; agreement.py has the bound.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import torch
from torch import nn

from deployopt.core.drawing import Part
from deployopt.core.freeing import release_memory
from deployopt.core.interface import DrawingInputs
from deployopt.core.samples import Array, Feed
from deployopt.modeling.agreement import check_agreement, run_outputs
from deployopt.modeling.drawing.loading import Networks, load_networks
from deployopt.modeling.drawing.reference import Asked, drawn
from deployopt.modeling.threads import torch_threads
from deployopt.modeling.tracing import Exporter, Trace, trace_to_onnx

CHECKED_PROMPTS: Final = 2
CHECKED_STEPS: Final = 5
"""Of a drawing, which go from noise alone to next to none."""
Attach = Callable[[Path, Mapping[str, Array], Path], None]


class PipelineExport(msgspec.Struct, frozen=True, kw_only=True):
    """As the step of the same name; `parts` are text encoder, UNet and decoder."""

    opset: int
    exporter: Exporter
    threads: int
    parts: tuple[Part, Part, Part]
    attach: Attach


def export_pipeline(
    folder: Path,
    inputs: DrawingInputs,
    destination: Path,
    options: PipelineExport,
    samples: Sequence[Feed],
) -> dict[str, float]:
    """Write the files; the greatest difference from each network, by file.

    Raises:
        RefusedInputError: the folder may not be opened.
        StepError: it does not load or export, or a graph does not say what its network says.
    """
    with torch_threads(options.threads):
        asked, expected = _ask_and_trace(folder, inputs, destination, options, samples)
    release_memory()
    differences = {}
    for part, questions, answers in zip(options.parts, asked, expected, strict=True):
        feeds: list[Feed] = [dict(zip(part.inputs, one, strict=True)) for one in questions]
        (found,) = run_outputs(destination / part.file, feeds, options.threads, (part.output,))
        what = f"The exported graph {part.file}"
        differences[part.file] = check_agreement(answers, found, what)
        release_memory()
    return differences


def _ask_and_trace(
    folder: Path,
    inputs: DrawingInputs,
    destination: Path,
    options: PipelineExport,
    samples: Sequence[Feed],
) -> tuple[list[list[tuple[Array, ...]]], list[list[Array]]]:
    """What each part was asked and answered, with the files written."""
    networks = load_networks(folder)
    asked = questions_of(networks, inputs, samples)
    modules: tuple[nn.Module, ...] = (networks.text_encoder, networks.unet, networks.vae)
    questions = [asked.text, asked.noise, asked.image]
    expected = []
    for module, part, given in zip(modules, options.parts, questions, strict=True):
        with torch.inference_mode():
            answers = [module(*map(torch.from_numpy, one)).numpy() for one in given]
        expected.append(answers)
        _write(module, part, given[0], destination, options)
    return questions, expected


def questions_of(networks: Networks, inputs: DrawingInputs, samples: Sequence[Feed]) -> Asked:
    """What the networks are asked while the first samples are drawn."""
    asked = Asked(text=[], noise=[], image=[])
    with torch.inference_mode():
        for feed in samples[:CHECKED_PROMPTS]:
            drawn(networks, inputs, feed, asked, steps=CHECKED_STEPS)
    return asked


def _write(
    module: nn.Module,
    part: Part,
    example: tuple[Array, ...],
    destination: Path,
    options: PipelineExport,
) -> None:
    trace = Trace(
        inputs=part.inputs,
        outputs=(part.output,),
        axes={name: {0: "batch"} for name in part.inputs},
        opset=options.opset,
        exporter=options.exporter,
    )
    traced = destination / f"traced.{part.file}"
    weights = trace_to_onnx(module, [torch.from_numpy(one) for one in example], trace, traced)
    options.attach(traced, weights, destination / part.file)
    traced.unlink()
