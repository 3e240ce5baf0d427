"""What is told of a finished training, whatever was trained: its record and its result.

How it did on the held-out examples is added by whoever asked it.
"""

from deployopt.core.bundle import FileEntry
from deployopt.core.errors import ExitCode
from deployopt.core.training import Evaluation
from deployopt.core.training_result import FinetuneResult, TrainingMemory
from deployopt.modeling.training.job import Trained
from deployopt.modeling.training.ranks import process_count
from deployopt.pipeline.training_folder import TrainingRecord, weights_sha256
from deployopt.pipeline.training_job import Prepared, tools
from deployopt.pipeline.training_options import Settled
from deployopt.store.digests import entries_digest


def record_of(prepared: Prepared, trained: Trained) -> TrainingRecord:
    """What stands in the folder beside the weights."""
    return TrainingRecord(
        base=prepared.base.resolved,
        base_digest=prepared.base.digest,
        options=prepared.settled.options,
        labels=prepared.labels,
        examples=prepared.examples,
        data_sha256=prepared.digests,
        best_epoch=_best(trained).epoch,
        tools=tools(),
        processes=process_count(),
    )


def training_result(
    prepared: Prepared, trained: Trained, entries: tuple[FileEntry, ...]
) -> FinetuneResult:
    """What the command tells of the folder that it published."""
    return FinetuneResult(
        base=prepared.base.name,
        resolved=prepared.base.resolved,
        options=prepared.settled.options,
        reason=prepared.settled.reason,
        labels=prepared.labels,
        examples=prepared.examples,
        epochs=trained.epochs,
        steps=trained.steps,
        best_epoch=_best(trained).epoch,
        stopped=trained.stopped,
        evaluations=trained.evaluations,
        curve=trained.curve,
        seconds=trained.seconds,
        processes=process_count(),
        resumed_from=trained.resumed_from,
        memory=_memory(prepared.settled, trained),
        parameters=trained.parameters,
        parameters_trained=trained.parameters_trained,
        folder=str(prepared.request.output),
        digest=entries_digest(entries),
        weights_sha256=weights_sha256(entries),
        exit_code=ExitCode.ACCEPTED,
    )


def _best(trained: Trained) -> Evaluation:
    return next(one for one in reversed(trained.evaluations) if one.best)


def _memory(settled: Settled, trained: Trained) -> TrainingMemory:
    """The peak beside its prediction."""
    total = settled.need.total
    return TrainingMemory(
        predicted=total,
        measured_bytes=trained.peak_bytes,
        ratio=trained.peak_bytes / total.value,
        inside=total.lower <= trained.peak_bytes <= total.upper,
        measured=trained.peak_of,
    )
