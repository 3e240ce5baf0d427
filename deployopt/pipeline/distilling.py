"""A student from a teacher: cut, taught, and judged beside it on examples that neither learned.

High level first: find the teacher and the student, split the texts, make the student through the
store, ask both, put the student's folder in its place. Nothing is judged against a budget here:
`build` does that with the folder.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.artifact import Artifact
from deployopt.core.codec import decode_json
from deployopt.core.distill_request import DistillRequest
from deployopt.core.distill_result import DistillResult, Lessons, Share
from deployopt.core.distributions import proportion_lower, proportion_upper
from deployopt.core.paired import LossBounds, agreement_bounds, loss_bounds
from deployopt.core.source import SourceModel
from deployopt.core.stages import TimedStages
from deployopt.core.watching import Watcher
from deployopt.device.setup import threads_here
from deployopt.pipeline.lessons import Prepared, gather_texts, prepare_lesson
from deployopt.pipeline.making import Made, Workbench, check_recipes, make
from deployopt.pipeline.students import (
    check_alike,
    model_shape,
    require_text_model,
    student_recipe,
)
from deployopt.sources.models import resolve_model
from deployopt.sources.training_lots import HELD_OUT
from deployopt.steps.distil import Distil
from deployopt.steps.prune import Prune
from deployopt.steps.reference import predict_reference
from deployopt.store.digests import entries_digest, folder_entries
from deployopt.store.faults import storage_errors
from deployopt.store.model_folders import RECORD, check_model_destination, publish_model
from deployopt.store.store import Store

CONFIDENCE: Final = 0.95
_TWO_SIDED: Final = 0.975
# Models of this size gain nothing from more.
_THREADS_MAX: Final = 8


class _Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Both models' answers on the held-out split, counted."""

    teacher: Share | None
    student: Share | None
    agreement: Share
    loss: LossBounds
    lost: int
    gained: int


def run_distill(request: DistillRequest, watcher: Watcher) -> DistillResult:
    """Do it; raises DeployoptError of any kind."""
    request.check()
    stages = TimedStages(watcher)
    with Store(request.store) as store, storage_errors("distilling", store.layout.root):
        check_model_destination(request.output)
        stages.stage("Model")
        teacher = resolve_model(request.teacher, store=store)
        require_text_model(teacher)
        start = teacher
        if request.student is not None:
            start = resolve_model(request.student, store=store)
            require_text_model(start)
            check_alike(teacher, start)
        recipe = student_recipe(request, start)
        stages.stage("Data")
        lesson = prepare_lesson(gather_texts(request, teacher, store), teacher, store)
        bench = Workbench(
            store=store,
            interface=start.interface,
            samples=lesson.stored.samples,
            samples_digest=lesson.stored.samples_digest,
            seed=request.seed,
            threads=threads_here(_THREADS_MAX),
            lesson=lesson.stored.lesson,
        )
        check_recipes([recipe], start.artifact, bench)
        stages.stage("Student")
        made = make(recipe, start.artifact, bench, stages.advance)
        stages.stage("Judging")
        judged = _judge(teacher, made.artifact, lesson, bench.threads, stages)
        stages.stage("Folder")
        entries = folder_entries(made.artifact.folder)
        publish_model(made.artifact.folder, entries, request.output)
        return _result(request, (teacher, start), made, lesson, judged, stages)


def _judge(
    teacher: SourceModel, student: Artifact, lesson: Prepared, threads: int, stages: TimedStages
) -> _Judged:
    known = predict_reference(teacher, lesson.held_out, threads, _half(stages, 0)).argmax(axis=1)
    taught = msgspec.structs.replace(teacher, artifact=student)
    said = predict_reference(taught, lesson.held_out, threads, _half(stages, 1)).argmax(axis=1)
    count = len(known)
    agreement = _share(known == said)
    if not lesson.texts.labelled:
        apart = int((known != said).sum())
        bounds = agreement_bounds(apart, count, CONFIDENCE)
        return _Judged(
            teacher=None, student=None, agreement=agreement, loss=bounds, lost=apart, gained=0
        )
    labels = np.asarray(lesson.texts.classes[HELD_OUT])
    one, other = known == labels, said == labels
    lost, gained = int((one & ~other).sum()), int((~one & other).sum())
    return _Judged(
        teacher=_share(one),
        student=_share(other),
        agreement=agreement,
        loss=loss_bounds(lost, gained, count, CONFIDENCE),
        lost=lost,
        gained=gained,
    )


def _half(stages: TimedStages, at: int) -> Callable[[float, str], None]:
    def tell(share: float, words: str) -> None:
        stages.advance((at + share) / 2, words)

    return tell


def _share(right: npt.NDArray[np.bool_]) -> Share:
    count, total = int(right.sum()), len(right)
    return Share(
        estimate=count / total,
        lower=proportion_lower(count, total, _TWO_SIDED),
        upper=proportion_upper(count, total, _TWO_SIDED),
        n=total,
    )


def _result(
    request: DistillRequest,
    models: tuple[SourceModel, SourceModel],
    made: Made,
    lesson: Prepared,
    judged: _Judged,
    stages: TimedStages,
) -> DistillResult:
    teacher, start = models
    before = model_shape(teacher, teacher.artifact, lesson.length)
    after = model_shape(start, made.artifact, lesson.length)
    lessons = _lessons(made.artifact.folder)
    cut = next((step for step in made.recipe.steps if isinstance(step, Prune)), None)
    ratio = before.macs / after.macs if before.macs and after.macs else None
    return DistillResult(
        teacher=teacher.name,
        student="cut from the teacher" if request.student is None else start.name,
        kept_layers=cut.layers if cut is not None else (),
        before=before,
        after=after,
        macs_ratio=ratio,
        teacher_accuracy=judged.teacher,
        student_accuracy=judged.student,
        agreement=judged.agreement,
        untrained_agreement=lessons.epochs[0].agreement,
        loss=judged.loss,
        lost=judged.lost,
        gained=judged.gained,
        confidence=CONFIDENCE,
        lessons=lessons,
        data=lesson.texts.name,
        splits=lesson.texts.sizes,
        notes=lesson.texts.notes,
        folder=str(request.output),
        digest=entries_digest(folder_entries(made.artifact.folder)),
        seconds={time.stage: time.seconds for time in stages.times},
        reused=any(s.reused for s in made.steps if s.lineage.step == Distil.name),
    )


def _lessons(folder: Path) -> Lessons:
    path = folder / RECORD
    return decode_json(path.read_bytes(), Lessons, where=str(path))
