"""Engine: an ONNX graph is built into a TensorRT engine for a card that need not be here.

In: a plain graph whose own types say what is worked out in what. Out: the engine, the builder's
listing of it, and the graph it was built of. Nothing has run: what opens the engine is the card's
own machine. Refuses installs without TensorRT for RTX, and operators that its parser does not take.
"""

import platform
import shutil
from importlib.util import find_spec
from typing import ClassVar

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.engine import (
    ASKED_FILE,
    ENGINE_FILE,
    GRAPH_FILE,
    EngineOptions,
    InputRange,
    sm_of,
)
from deployopt.core.errors import MissingExtraError, StepError
from deployopt.core.quiet import RTX_PACKAGE
from deployopt.core.recipe import StepContext
from deployopt.steps.needs import need_format, need_samples_file
from deployopt.steps.session import GRAPH_SESSION


class BuildEngine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options as EngineOptions has them; precisions are those of the graph."""

    name: ClassVar[str] = "build-engine"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = (RTX_PACKAGE,)
    consumes: ClassVar[Format] = Format.ONNX
    produces: ClassVar[Format] = Format.ENGINE
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = False

    compute_capability: str = "8.6"
    platform: str = "x86_64"
    profile: tuple[InputRange, ...] = ()
    workspace_bytes: int = 2**30
    tf32: bool = False
    level: int = 3

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what could not be built here."""
        need_format(self.name, source, self.consumes)
        need_samples_file(self.name, context, required=False)
        need_builder()
        if self.platform != platform.machine():
            raise StepError(
                f"TensorRT for RTX builds engines for machines of its own kind: this one is "
                f"{platform.machine()}, and the target is {self.platform}. Build on a machine of "
                "the target's kind."
            )

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Build, and put the graph beside the engine."""
        from deployopt.engines.building import build_engine

        context.progress(0.0, f"building for {sm_of(self.compute_capability)}")
        built = build_engine(source.path, context.workdir, self.options(), threads=context.threads)
        for path in sorted(source.folder.iterdir()):
            if path.name.removesuffix(".data") in {GRAPH_FILE, ASKED_FILE}:
                shutil.copyfile(path, context.workdir / path.name)
        context.progress(1.0, "built")
        return Artifact(
            format=self.produces,
            folder=context.workdir,
            entry=ENGINE_FILE,
            digest="",
            precision=source.precision,
            notes=(
                *source.notes,
                f"An engine of {len(built.listing.layers)} layers; it has not run.",
            ),
        )

    def options(self) -> EngineOptions:
        """As the builder takes them."""
        return EngineOptions(
            compute_capability=self.compute_capability,
            platform=self.platform,
            profile=self.profile,
            workspace_bytes=self.workspace_bytes,
            tf32=self.tf32,
            level=self.level,
        )


def builder_installed() -> bool:
    """Whether TensorRT for RTX can be imported here."""
    return find_spec("tensorrt_rtx") is not None


def need_builder() -> None:
    """Raise MissingExtraError where it cannot."""
    if not builder_installed():
        raise MissingExtraError("Building an engine", "tensorrt-rtx")


def graph_asked(artifact: Artifact) -> Artifact:
    """The graph that a CPU is asked in the place of what only a card opens, under its digest.

    Of an engine the graph that it was built of; of types that a CPU has no kernels of, the graph
    that was made to be asked. Any other artifact is itself.
    """
    made = (artifact.folder / ASKED_FILE).is_file()
    if artifact.format is not Format.ENGINE and not made:
        return artifact
    entry = ASKED_FILE if made else GRAPH_FILE
    return msgspec.structs.replace(artifact, format=Format.ONNX, entry=entry, session=GRAPH_SESSION)
