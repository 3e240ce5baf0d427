"""What training made is put together, answers the held-out examples, and is published.

In: a finished run. Out: the folder at its destination, and everything that is known of it. Only the
leader of several processes does this.
"""

from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.distributions import proportion_lower, proportion_upper
from deployopt.core.examples import Examples
from deployopt.core.interface import Interface, TextInputs
from deployopt.core.memory import Method
from deployopt.core.training_result import FinetuneResult, HeldOut
from deployopt.core.watching import Watcher
from deployopt.core.workload import Workload
from deployopt.device.inputs import feeds
from deployopt.modeling.training.job import Trained
from deployopt.pipeline.training_folder import (
    HELD_OUT_FILE,
    entries_of,
    finish_folder,
    gather_adapter,
    gather_model,
    readable,
)
from deployopt.pipeline.training_job import PreparedExamples
from deployopt.pipeline.training_telling import record_of, training_result
from deployopt.sources.training_data import Part, TrainingData
from deployopt.sources.training_lots import HELD_OUT
from deployopt.store.model_folders import publish_model
from deployopt.store.store import Store

_ONE: Final = Workload(batch=1, length="real")
_TWO_SIDED: Final = 0.975
UNMERGED: Final = (
    "A prefix cannot be merged into the base's weights, so the folder holds an adapter to be used "
    "beside the base, from Python with peft; build, export and verify do not take it. Train by "
    "lora, freeze or full for a model that they take."
)


def judged(
    prepared: PreparedExamples, trained: Trained, store: Store, watcher: Watcher
) -> FinetuneResult:
    """Put the folder together, answer the held-out examples with it, publish it."""
    request, base, data = prepared.request, prepared.base, prepared.data
    watcher.stage("judge", len(data.parts[HELD_OUT].classes))
    with store.stage() as folder:
        if prepared.settled.options.method is Method.PREFIX:
            gather_adapter(trained.folder, base.folder, folder)
            held_out = _held_out_beside(prepared, folder, watcher)
        else:
            interface = gather_model(trained.folder, base.folder, folder)
            held_out = _held_out(folder, interface, data, watcher)
        record = record_of(prepared, trained)
        finish_folder(
            folder,
            msgspec.structs.replace(record, held_out=held_out),
            _texts_to_judge_with(prepared),
        )
        entries = entries_of(folder)
        watcher.stage("publish")
        publish_model(folder, entries, request.output)
    return msgspec.structs.replace(
        training_result(prepared, trained, entries),
        new_head=data.new_head,
        held_out=held_out,
        warnings=(*base.notes, *data.notes, *_doubts(prepared, held_out)),
    )


def _held_out(folder: Path, interface: Interface, data: TrainingData, watcher: Watcher) -> HeldOut:
    from deployopt.modeling.reference import predict
    from deployopt.modeling.training.places import compute_threads

    part = data.parts[HELD_OUT]
    requests = list(feeds(interface, folder, list(part.inputs), _ONE))
    logits = predict(
        folder, interface, requests, threads=compute_threads(), progress=watcher.advance
    )
    return _counted(logits, part)


def _held_out_beside(prepared: PreparedExamples, folder: Path, watcher: Watcher) -> HeldOut:
    """With the adapter of `folder` beside its base."""
    from deployopt.modeling.reference import predict_with
    from deployopt.modeling.training.places import compute_threads
    from deployopt.modeling.training.prefixes import open_prefix

    base, interface, data = prepared.base, prepared.interface, prepared.data
    part = data.parts[HELD_OUT]
    options = prepared.settled.options
    module = open_prefix(base.folder, folder, interface, options, new_head=data.new_head)
    requests = list(feeds(interface, folder, list(part.inputs), _ONE))
    logits = predict_with(
        module, interface, requests, threads=compute_threads(), progress=watcher.advance
    )
    return _counted(logits, part)


def _counted(logits: npt.NDArray[np.float32], part: Part) -> HeldOut:
    right = int((np.argmax(logits, axis=1) == np.asarray(part.classes)).sum())
    total = len(part.classes)
    return HeldOut(
        examples=total,
        right=right,
        accuracy=right / total,
        lower=proportion_lower(right, total, _TWO_SIDED),
        upper=proportion_upper(right, total, _TWO_SIDED),
    )


def _texts_to_judge_with(prepared: PreparedExamples) -> bytes | None:
    """A data file of the texts that were held out of what was trained on, for a later build."""
    part = prepared.data.parts[HELD_OUT]
    if prepared.data.judged_apart or not isinstance(prepared.base.inputs, TextInputs):
        return None
    held = Examples(inputs=list(part.inputs), labels=part.classes)
    return readable(held, prepared.data.labels)


def _doubts(prepared: PreparedExamples, held_out: HeldOut) -> tuple[str, ...]:
    """What a person should know before building from it."""
    data, request = prepared.data, prepared.request
    counts = np.bincount(data.parts[HELD_OUT].classes)
    common = int(counts.argmax())
    share = float(counts.max()) / held_out.examples
    doubts = []
    if held_out.lower <= share:
        doubts.append(
            f"It is not shown to be better than always answering {data.labels[common]!r}, which "
            f"is right on {share:.1%} of the held-out examples. Train longer or on more."
        )
    if prepared.settled.options.method is Method.PREFIX:
        doubts.append(UNMERGED)
    elif not data.judged_apart:
        judge = f"{request.output}/{HELD_OUT_FILE}"
        doubts.append(
            f"Most of {request.data} was trained on. Judge a build with examples that were not: "
            + (f"--data {judge}." if isinstance(prepared.base.inputs, TextInputs) else "others.")
        )
    return tuple(doubts)
