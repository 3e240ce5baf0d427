"""OpenOnCard: a graph is to be opened on a card, by ONNX Runtime or by TensorRT.

Takes an ONNX model and gives the same graph back with the options that its session has there, which
are part of what is measured and shipped: every fusion of the card's provider, and for TensorRT the
shapes that it builds for. OpenPipelineOnCard does so for the graphs of a pipeline that draws, which
ONNX Runtime opens on CUDA. Nothing is run.
"""

from typing import ClassVar

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.card import BUILT_THERE, CARD_PROVIDERS, CUDA, TENSORRT
from deployopt.core.engine import InputRange
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.steps.needs import need_format, need_samples_file
from deployopt.steps.session import card_session


class OpenOnCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`profile` is for what TensorRT builds: the requests that it is built for, input by input.

    With `tf32` products of float32 may be worked out in TF32.

    `capture` is for workloads whose requests have one shape: ONNX Runtime launches them as one CUDA
    graph. A plan needs no such word.
    """

    name: ClassVar[str] = "open-on-card"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ()
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.ONNX
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False

    provider: str = "cuda"
    profile: tuple[InputRange, ...] = ()
    tf32: bool = False
    capture: bool = False

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse other formats, and options for a provider that takes none such."""
        need_format(self.name, source, self.consumes)
        need_samples_file(self.name, context, required=False)
        if self.profile and self.provider not in BUILT_THERE:
            raise StepError(
                f"open-on-card: the provider {self.provider} takes any shape. Leave the profile "
                f"out, or give provider={TENSORRT}."
            )
        if self.tf32 and self.provider == TENSORRT:
            raise StepError(
                f"open-on-card: the provider {TENSORRT} has no option for TF32. Leave it out."
            )
        if self.capture and self.provider not in CARD_PROVIDERS:
            raise StepError(
                f"open-on-card: the provider {self.provider} captures by itself where it can. "
                "Leave capture out."
            )

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Copy the files and say how they are opened."""
        from deployopt.store.writing import copy_new_file

        for path in sorted(source.folder.iterdir()):
            if path.is_file():
                copy_new_file(path, context.workdir / path.name)
        return msgspec.structs.replace(
            source,
            folder=context.workdir,
            digest="",
            session=card_session(self.provider, self.profile, tf32=self.tf32, capture=self.capture),
        )


class OpenPipelineOnCard(OpenOnCard, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All graphs of a pipeline, by the same provider."""

    name: ClassVar[str] = "open-pipeline-on-card"
    consumes: ClassVar[Format] = Format.DRAWING
    produces: ClassVar[Format] = Format.DRAWING

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse as for one graph, and what TensorRT would open."""
        super().requires(source, context)
        if self.provider != CUDA:
            raise StepError(
                f"{self.name}: the graphs of a pipeline are opened by the provider {CUDA}, not "
                f"{self.provider}. Give provider={CUDA}."
            )
