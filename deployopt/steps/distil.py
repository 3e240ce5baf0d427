"""Distil: a student learns to answer as its teacher does.

Takes a smaller model in Hugging Face form (pruned, or another of the same labels and tokenizer) and
gives it back taught. The teacher and the examples come with the context; labels are optional.
"""

from typing import ClassVar

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.codec import encode_pretty
from deployopt.core.errors import StepError
from deployopt.core.freeing import release_memory
from deployopt.core.recipe import StepContext
from deployopt.steps.needs import need_format, need_packages
from deployopt.steps.prune import CONFIG
from deployopt.store.model_folders import RECORD

"""How the student learned (core/distill_result.Lessons), beside its weights."""


class Distil(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Weights of the loss: logits 1, hidden states, relations of the last layer, labels.

    `layers` are the teacher's that the student was cut from; none: they are spread evenly. It ends
    after `epochs`, after `patience` of them without gain, or when `time_limit_s` is over. With
    `bfloat16` products are worked out in it, for processors that have instructions for it.
    """

    name: ClassVar[str] = "distil"
    version: ClassVar[int] = 2
    tools: ClassVar[tuple[str, ...]] = ("torch", "transformers")
    consumes: ClassVar[Format] = Format.TRANSFORMERS
    produces: ClassVar[Format] = Format.TRANSFORMERS
    uses_samples: ClassVar[bool] = False
    uses_lesson: ClassVar[bool] = True

    epochs: int = 4
    learning_rate: float = 1e-4
    batch: int = 32
    temperature: float = 2.0
    hidden_weight: float = 1.0
    relation_weight: float = 0.0
    label_weight: float = 0.0
    layers: tuple[int, ...] = ()
    patience: int = 2
    time_limit_s: float | None = None
    bfloat16: bool = False

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Refuse what could not be taught."""
        need_format(self.name, source, self.consumes)
        need_packages("Distil", "torch", "transformers")
        if context.lesson is None:
            raise StepError("Distil needs a teacher and texts to learn from, and none were given.")
        for path in (context.lesson.teacher, context.lesson.train, context.lesson.validation):
            if not path.exists():
                raise StepError(f"Distil learns from {path}, which is not there.")
        counts = (self.epochs, self.batch, self.patience)
        sizes = (self.learning_rate, self.temperature, self.time_limit_s or 1.0)
        weights = (self.hidden_weight, self.relation_weight, self.label_weight)
        if min(counts) < 1 or not (all(n > 0 for n in sizes) and all(n >= 0 for n in weights)):
            raise StepError(
                "Distil takes at least one epoch, one example a batch and a patience of one; a "
                "learning rate, temperature and time limit above zero; weights of zero or more."
            )

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Teach it and write the folder."""
        from deployopt.modeling.distilling.folders import distil_folder
        from deployopt.modeling.distilling.options import DistilOptions

        if context.lesson is None:
            raise StepError("Distil needs a lesson.")
        options = DistilOptions(
            **msgspec.structs.asdict(self), seed=context.seed, threads=context.threads
        )
        lessons = distil_folder(
            source.folder,
            context.interface,
            context.workdir,
            context.lesson,
            options,
            context.progress,
        )
        (context.workdir / RECORD).write_bytes(encode_pretty(lessons))
        release_memory()
        context.progress(1.0, "taught")
        best = lessons.epochs[lessons.best_epoch]
        note = (
            f"Taught for {lessons.steps} steps; the best epoch was {lessons.best_epoch}, agreeing "
            f"with the teacher on {best.agreement:.1%} of the validation split."
        )
        return Artifact(
            format=self.produces,
            folder=context.workdir,
            entry=CONFIG,
            digest="",
            precision=source.precision,
            notes=(*source.notes, note),
        )
