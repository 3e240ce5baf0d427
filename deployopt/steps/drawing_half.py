"""float16: the graphs of a pipeline that draws, for cards that work in half precision.

In: text encoder, UNet and decoder in float32, and real prompts. Out: the same in float16 between
inputs and outputs, which stay float32. Each part's ranges are those of what it is asked while the
prompts are drawn, step by step; nodes whose values come too near the end of float16's range stay
float32, and so does what works out the angles that the UNet sees the time by.
"""

from typing import TYPE_CHECKING, ClassVar

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.drawing import GRAPHS, SETTINGS
from deployopt.core.errors import MissingExtraError, StepError
from deployopt.core.freeing import release_memory
from deployopt.core.recipe import StepContext
from deployopt.core.samples import decode_samples
from deployopt.core.text import name_list
from deployopt.steps.drawing import diffusers_missing, drawing_inputs, pipeline_artifact
from deployopt.steps.needs import need_float, need_format, need_packages, need_samples_file
from deployopt.steps.session import STATIC_SESSION
from deployopt.store.writing import copy_new_file

if TYPE_CHECKING:
    from deployopt.core.samples import Feed
    from deployopt.graph.half import Halved

_SHOWN = 4


class HalvePipeline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`prompts` is the most that are drawn for ranges, each over all of its steps."""

    name: ClassVar[str] = "halve-pipeline"
    version: ClassVar[int] = 1
    tools: ClassVar[tuple[str, ...]] = ("torch", "diffusers", "onnx", "onnxruntime", "numpy")
    consumes: ClassVar[Format] = Format.DRAWING
    produces: ClassVar[Format] = Format.DRAWING
    uses_samples: ClassVar[bool] = True
    uses_lesson: ClassVar[bool] = False

    prompts: int = 4

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what run could not convert."""
        need_format(self.name, source, self.consumes)
        need_float(self.name, source)
        need_packages("float16", "torch", "onnx", "onnxruntime")
        if diffusers_missing():
            raise MissingExtraError("float16 of a model that draws", "diffusion")
        if self.prompts < 1:
            raise StepError("HalvePipeline draws at least one prompt to take ranges from.")
        drawing_inputs(context)
        need_samples_file(self.name, context, required=True)

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Draw the prompts, then write each part and compare it with its source."""
        from deployopt.graph.precision import precision_of_all
        from deployopt.modeling.drawing.asking import questions_of_graphs

        if context.samples is None:
            raise StepError("float16 needs samples.")
        samples = decode_samples(context.samples)[: self.prompts]
        context.progress(0.0, f"drawing {len(samples)} prompts")
        inputs = drawing_inputs(context)
        asked = questions_of_graphs(source.folder, inputs, samples, context.threads)
        release_memory()
        notes = []
        for at, name in enumerate(GRAPHS):
            done = _halve(name, source, context, asked.pop(name), at)
            notes.append(_note(name, done))
            release_memory()
        copy_new_file(source.folder / SETTINGS, context.workdir / SETTINGS)
        found = precision_of_all([context.workdir / name for name in GRAPHS])
        note = f"float16, by the values of {len(samples)} prompts over {inputs.steps} steps."
        made = pipeline_artifact(source, context, found, note)
        return msgspec.structs.replace(made, session=STATIC_SESSION, notes=(*made.notes, *notes))


def _halve(
    name: str, source: Artifact, context: StepContext, feeds: "list[Feed]", at: int
) -> "Halved":
    """One part; a refusal names it."""
    from deployopt.graph.half import convert_to_half

    def within(share: float, words: str) -> None:
        context.progress((1 + at + share) / (1 + len(GRAPHS)), f"{name}: {words}")

    goal = context.workdir / name
    try:
        return convert_to_half(
            source.folder / name, goal, feeds, context.threads, within, angles=True
        )
    except StepError as error:
        raise StepError(f"{name}: {error}") from error


def _note(name: str, done: "Halved") -> str:
    """What became of a part, in a sentence."""
    kept = "no value came near the end of float16's range"
    if done.kept:
        worst = max(one.largest for one in done.kept)
        named = name_list([one.name for one in done.kept], _SHOWN)
        kept = f"{len(done.kept)} of {done.nodes} nodes stay float32 ({named}): values of up to "
        kept += f"{worst:.3g} were seen there"
    if done.angles:
        kept += f", {done.angles} nodes that work out angles stay float32"
    return f"In {name} {kept}; answers differ by {done.difference:.1e} at most from before."
