"""Graphs that ONNX Runtime or TensorRT opens on a card, made on a machine that need not have one.

In: a target whose provider is a card's, a plain float graph. Out: the forms of the graph, and what
is said of them: any card of the provider opens such a graph, and none has.
"""

from typing import Final

import msgspec

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.card import (
    BUILT_THERE,
    CUDA,
    GRAPH_PROVIDERS,
    ORT_GPU,
    PLAN,
    TENSORRT,
    TENSORRT_PACKAGE,
    CardNote,
    CardSummary,
)
from deployopt.core.engine import InputRange
from deployopt.core.recipe import Step
from deployopt.core.target import Target
from deployopt.pipeline.engines import HALF
from deployopt.steps.drawing_half import HalvePipeline
from deployopt.steps.for_card import OpenOnCard, OpenPipelineOnCard
from deployopt.steps.half import ConvertHalf
from deployopt.steps.symmetric import QuantizeSymmetric

GRAPH_FORMS: Final = frozenset({Format.ONNX, Format.DRAWING})
"""Of what any card of a provider opens."""
_NAMES: Final = {
    CUDA: "ONNX Runtime on CUDA",
    TENSORRT: "ONNX Runtime on TensorRT",
    PLAN: "TensorRT",
}


class GraphPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Which provider opens a graph, and the shapes of requests."""

    provider: str
    profile: tuple[InputRange, ...] = ()

    @property
    def step(self) -> OpenOnCard:
        """The last step of every form."""
        # CUDA's kernels take any shape; TensorRT builds for those that it is told.
        profile = self.profile if self.provider in BUILT_THERE else ()
        return OpenOnCard(provider=self.provider, profile=profile)


def graph_steps(
    place: GraphPlace, source: Artifact, *, convolutional: bool
) -> tuple[tuple[str, tuple[Step, ...], str], ...]:
    """Name, steps behind the plain float graph, and reason of each form of a graph for a card.

    int8 is for TensorRT alone: ONNX Runtime's own kernels for CUDA have no products of Q/DQ pairs,
    so that each would be worked out in float between two more passes over memory.
    """
    if source.format is Format.DIFFUSERS:
        return _pipeline_steps(place)
    where = _NAMES[place.provider]
    whole = (
        "float",
        (place.step,),
        f"the graph in fp32 for {where}, TF32 off; others have to beat it",
    )
    if source.precision in {Precision.INT8, Precision.MIXED}:
        return (whole,)
    half = ConvertHalf()
    halved = (
        HALF,
        (half, place.step),
        f"the graph in fp16 for {where}, ranges checked on real inputs",
    )
    if place.provider not in BUILT_THERE:
        return (whole, halved)
    pairs = QuantizeSymmetric(calibration="percentile" if convolutional else "minmax")
    return (
        whole,
        halved,
        (
            "int8",
            (pairs, half, place.step),
            f"static int8 products for {where} (signed, symmetric), the rest in fp16",
        ),
    )


def _pipeline_steps(place: GraphPlace) -> tuple[tuple[str, tuple[Step, ...], str], ...]:
    """Of a model that draws: text encoder, UNet and decoder in the same form."""
    where, last = _NAMES[place.provider], OpenPipelineOnCard(provider=place.provider)
    return (
        ("float", (last,), f"three graphs in fp32 for {where}, TF32 off; others have to beat it"),
        (
            HALF,
            (HalvePipeline(), last),
            f"three graphs in fp16 for {where}, ranges checked over the steps of real prompts",
        ),
    )


def graph_summary(target: Target, notes: tuple[str, ...]) -> CardSummary:
    """What a report shows of a form that is not run where it is built."""
    return CardSummary(
        compute_capability=_capability(target), version=_version("onnxruntime"), notes=notes
    )


def graph_note(target: Target, artifact: Artifact, *, ran: bool) -> CardNote | None:
    """What the manifest of a graph for a card says; None of an engine, and for a CPU."""
    if artifact.format not in GRAPH_FORMS or target.runtime.provider not in GRAPH_PROVIDERS:
        return None
    plan = target.runtime.provider == PLAN
    return CardNote(
        provider=target.runtime.provider,
        compute_capability=_capability(target),
        runtime=TENSORRT_PACKAGE if plan else ORT_GPU,
        version=_version(TENSORRT_PACKAGE if plan else "onnxruntime"),
        ran=ran,
    )


def _capability(target: Target) -> str:
    gpu = target.hardware.gpu
    return "" if gpu is None else gpu.compute_capability


def _version(package: str) -> str:
    """Of the runtime here: an ONNX Runtime was asked in the card's place; no TensorRT can be."""
    from deployopt.pipeline.making import ABSENT, tool_versions

    (found,) = tool_versions((package,)).values()
    return "" if found == ABSENT else found
