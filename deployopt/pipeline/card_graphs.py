"""Graphs that ONNX Runtime or TensorRT opens on a card, made on a machine that need not have one.

In: a target whose provider is a card's, a plain float graph. Out: the forms of the graph, and what
is said of them: any card of the provider opens such a graph, and none has.
"""

from typing import Final

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.card import (
    BUILT_THERE,
    CARD_PROVIDERS,
    CUDA,
    GRAPH_PROVIDERS,
    ORT_GPU,
    PLAN,
    TENSORRT,
    TENSORRT_PACKAGE,
    CardNote,
    CardSummary,
    has_float8,
)
from deployopt.core.engine import InputRange
from deployopt.core.target import Target
from deployopt.pipeline.card_forms import HALF, Abilities, CardForm, card_forms
from deployopt.pipeline.profiles import one_shape
from deployopt.steps.drawing_half import HalvePipeline
from deployopt.steps.for_card import OpenOnCard, OpenPipelineOnCard

GRAPH_FORMS: Final = frozenset({Format.ONNX, Format.DRAWING})
"""Of what any card of a provider opens."""
_NAMES: Final = {
    CUDA: "ONNX Runtime on CUDA",
    TENSORRT: "ONNX Runtime on TensorRT",
    PLAN: "TensorRT",
}


class GraphPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Which provider opens a graph, on which kind of card, and the shapes of requests."""

    provider: str
    compute_capability: str
    profile: tuple[InputRange, ...] = ()

    @property
    def step(self) -> OpenOnCard:
        """The last step of every form."""
        # CUDA's kernels take any shape; TensorRT builds for those that it is told.
        profile = self.profile if self.provider in BUILT_THERE else ()
        capture = self.provider in CARD_PROVIDERS and one_shape(self.profile)
        return OpenOnCard(provider=self.provider, profile=profile, capture=capture)


def graph_steps(
    place: GraphPlace, source: Artifact, *, convolutional: bool
) -> tuple[CardForm, ...]:
    """The forms of a graph for a card.

    int8 is for TensorRT alone: ONNX Runtime's own kernels for CUDA have no products of Q/DQ pairs,
    so that each would be worked out in float between two more passes over memory. float8 is for
    TensorRT itself: nothing says that ONNX Runtime hands it such values.
    """
    if source.format is Format.DIFFUSERS:
        return _pipeline_steps(place)
    where = _NAMES[place.provider]
    abilities = Abilities(
        int8=place.provider in BUILT_THERE,
        float8=place.provider == PLAN and has_float8(place.compute_capability),
    )
    return card_forms(
        source,
        place.step,
        lambda how: f"the graph {how} for {where}",
        abilities,
        convolutional=convolutional,
    )


def _pipeline_steps(place: GraphPlace) -> tuple[CardForm, ...]:
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
        compute_capability=target.compute_capability, version=_version("onnxruntime"), notes=notes
    )


def graph_note(target: Target, artifact: Artifact, *, ran: bool) -> CardNote | None:
    """What the manifest of a graph for a card says; None of an engine, and for a CPU."""
    if artifact.format not in GRAPH_FORMS or target.runtime.provider not in GRAPH_PROVIDERS:
        return None
    plan = target.runtime.provider == PLAN
    return CardNote(
        provider=target.runtime.provider,
        compute_capability=target.compute_capability,
        runtime=TENSORRT_PACKAGE if plan else ORT_GPU,
        version=_version(TENSORRT_PACKAGE if plan else "onnxruntime"),
        ran=ran,
    )


def _version(package: str) -> str:
    """Of the runtime here: an ONNX Runtime was asked in the card's place; no TensorRT can be."""
    from deployopt.pipeline.making import ABSENT, tool_versions

    (found,) = tool_versions((package,)).values()
    return "" if found == ABSENT else found
