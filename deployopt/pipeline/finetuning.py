"""`finetune`: a base and labelled data become a classifier that `build` takes.

In: a request. Out: a folder, published whole or not at all, and what is known of it: accuracy on
examples that had no part in it, memory beside its prediction, the loss as it fell. Several
processes (torchrun) run the same code; the leader decides, writes and tells the others.
"""

import time
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from deployopt.core.codec import decode_json, encode_json, to_plain
from deployopt.core.distributions import proportion_lower, proportion_upper
from deployopt.core.errors import ExitCode, MissingExtraError, StepError
from deployopt.core.examples import Example, Examples
from deployopt.core.interface import Interface, Task, TextInputs
from deployopt.core.samples import Feed
from deployopt.core.target import Target
from deployopt.core.tasks import ModelTask
from deployopt.core.training_request import FinetuneRequest
from deployopt.core.training_result import FinetuneResult, HeldOut, TrainingMemory
from deployopt.core.watching import SILENT, Watcher
from deployopt.core.workload import Workload
from deployopt.device.inputs import TextEncoder, feeds
from deployopt.pipeline.training_checkpoints import StoreCheckpoints
from deployopt.pipeline.training_folder import (
    HELD_OUT_FILE,
    TrainingRecord,
    entries_of,
    finish_folder,
    gather_model,
    weights_sha256,
)
from deployopt.pipeline.training_options import Settled, Site, Subject, settle_options
from deployopt.planning.architectures import read_architecture
from deployopt.sources.checks import read_object
from deployopt.sources.folder import ENTRY, OUTPUT
from deployopt.sources.headers import stored_weights
from deployopt.sources.training_base import TrainingBase, resolve_base
from deployopt.sources.training_data import (
    HELD_OUT,
    TRAIN,
    VALIDATION,
    TrainingData,
    read_training_data,
)
from deployopt.store.digests import entries_digest
from deployopt.store.keys import cache_key
from deployopt.store.model_folders import check_model_destination, publish_model
from deployopt.store.store import Store

if TYPE_CHECKING:
    from deployopt.modeling.training.job import Job, Trained

_VERSION: Final = 1
_TOOLS: Final = ("torch", "transformers", "peft", "accelerate")
_TASKS: Final = {
    Task.TEXT_CLASSIFICATION: ModelTask.TEXT_CLASSIFICATION,
    Task.IMAGE_CLASSIFICATION: ModelTask.IMAGE_CLASSIFICATION,
}
_ONE: Final = Workload(batch=1, length="real")
_TWO_SIDED: Final = 0.975
_THREADS: Final = 64
_WEIGHT_COPIES: Final = 8
"""On the disk at most: a checkpoint with its states, twice, and the finished model, twice."""


class _Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A request with its base, data and options."""

    request: FinetuneRequest
    base: TrainingBase
    data: TrainingData
    interface: Interface
    settled: Settled


def run_finetune(request: FinetuneRequest, watcher: Watcher = SILENT) -> FinetuneResult:
    """Train, judge, publish.

    Raises:
        UsageError: options, model or data that cannot be trained with.
        CannotFitError: it surely does not fit the target.
        StepError: the loss is no number, or nothing could be trained in time.
        MissingExtraError: the packages for building are not installed.
    """
    began = time.perf_counter_ns()
    check_model_destination(request.output)
    _require_packages()
    from deployopt.modeling.training import ranks

    ranks.join()
    try:
        with Store(request.store) as store:
            prepared = _prepared(request, store, watcher if ranks.is_leader() else SILENT)
            result = _trained(prepared, store, watcher if ranks.is_leader() else SILENT, began)
    finally:
        ranks.leave()
    return result


def _require_packages() -> None:
    if any(find_spec(name) is None for name in _TOOLS):
        raise MissingExtraError("Fine-tuning", "build")


def _prepared(request: FinetuneRequest, store: Store, watcher: Watcher) -> _Prepared:
    from deployopt.modeling.training import ranks

    watcher.stage("model and data")
    # The others find in the store what the leader has fetched.
    if not ranks.is_leader():
        ranks.wait()
    base = resolve_base(request.model, store)
    data = read_training_data(
        request.data, request.evaluation_data, base=base, store=store, columns=request.columns
    )
    if ranks.is_leader():
        ranks.wait()
    interface = Interface(task=base.task, inputs=base.inputs, outputs=(OUTPUT,), labels=data.labels)
    decided = encode_json(_settle(request, base, data)).decode() if ranks.is_leader() else ""
    settled = decode_json(ranks.told_by_leader(decided).encode(), Settled, where="the options")
    return _Prepared(request=request, base=base, data=data, interface=interface, settled=settled)


def _settle(request: FinetuneRequest, base: TrainingBase, data: TrainingData) -> Settled:
    from deployopt.modeling.training.places import gains_from_bf16, on_gpu
    from deployopt.modeling.training.ranks import process_count

    config = read_object(base.folder / ENTRY)
    inputs = base.inputs
    subject = Subject(
        name=base.name,
        architecture=read_architecture(config, stored_weights(base.folder)),
        task=_TASKS[base.task],
        examples=len(data.parts[TRAIN].classes),
        lengths=_lengths(base, data.parts[TRAIN].inputs, None),
        length_max=inputs.max_length if isinstance(inputs, TextInputs) else 1,
    )
    site = Site(gpu=on_gpu(), bf16=gains_from_bf16(), processes=process_count())
    return settle_options(request, subject, request.target or _this_machine(), site)


def _this_machine() -> Target:
    from deployopt.device.detect import detect

    return detect()


def _trained(prepared: _Prepared, store: Store, watcher: Watcher, began: int) -> FinetuneResult:
    from deployopt.modeling.training import ranks
    from deployopt.modeling.training.run import train

    size = sum(path.stat().st_size for path in prepared.base.folder.glob("*.safetensors"))
    store.require_space(_WEIGHT_COPIES * size, "This training")
    checkpoints = StoreCheckpoints(store, _run_key(prepared))
    with store.stage() as staged:
        workdir = Path(ranks.told_by_leader(str(staged)))
        trained = train(_job(prepared, workdir, checkpoints, watcher, began))
        said = ""
        if ranks.is_leader():
            result = _judged(prepared, trained, store, watcher)
            checkpoints.forget()
            said = encode_json(result).decode()
        said = ranks.told_by_leader(said)
    return decode_json(said.encode(), FinetuneResult, where="the result")


def _run_key(prepared: _Prepared) -> str:
    """What decides the weights; not how long it may take or where they go."""
    from deployopt.modeling.training.ranks import process_count

    data = prepared.data
    return cache_key(
        {
            "training": _VERSION,
            "base": prepared.base.digest,
            "labels": list(data.labels),
            "data": [data.digests[TRAIN], data.digests[VALIDATION]],
            "options": to_plain(prepared.settled.options),
            "processes": process_count(),
            "tools": _tools(),
        }
    )


def _tools() -> dict[str, str]:
    return {name: version(name) for name in _TOOLS}


def _job(
    prepared: _Prepared,
    workdir: Path,
    checkpoints: StoreCheckpoints,
    watcher: Watcher,
    began: int,
) -> "Job":
    from deployopt.modeling.training.job import Job, Labelled

    base, data, options = prepared.base, prepared.data, prepared.settled.options
    parts = {
        name: Labelled(
            inputs=data.parts[name].inputs,
            classes=data.parts[name].classes,
            lengths=_lengths(base, data.parts[name].inputs, options.length),
        )
        for name in (TRAIN, VALIDATION)
    }
    return Job(
        folder=base.folder,
        interface=prepared.interface,
        new_head=data.new_head,
        train=parts[TRAIN],
        validation=parts[VALIDATION],
        encode=partial(_encode, prepared.interface, _encoder(base, options.length), base.folder),
        options=options,
        workdir=workdir,
        checkpoints=checkpoints,
        resume=prepared.request.resume,
        watcher=watcher,
        deadline_s=_left(prepared.request.time_limit_s, began),
        judged=len(data.parts[HELD_OUT].classes),
    )


def _left(limit_s: float | None, began: int) -> float | None:
    if limit_s is None:
        return None
    spent = (time.perf_counter_ns() - began) / 1e9
    if spent >= limit_s:
        raise StepError(
            f"The time limit of {limit_s:g} s was over before training began: reading the model "
            f"and the data took {spent:.1f} s. Give more time."
        )
    return limit_s - spent


def _encoder(base: TrainingBase, length: int) -> TextEncoder | None:
    inputs = base.inputs
    if not isinstance(inputs, TextInputs):
        return None
    shorter = msgspec.structs.replace(inputs, max_length=min(length, inputs.max_length))
    return TextEncoder(shorter, base.folder, _ONE)


def _encode(
    interface: Interface, encoder: TextEncoder | None, folder: Path, example: Example
) -> Feed:
    if encoder is not None:
        return encoder.feed([example])
    return next(iter(feeds(interface, folder, [example], _ONE)))


def _lengths(base: TrainingBase, inputs: Sequence[Example], most: int | None) -> list[int]:
    """Tokens of each text; 1 for images."""
    given = base.inputs
    if not isinstance(given, TextInputs):
        return [1] * len(inputs)
    encoder = _encoder(base, most or given.max_length)
    if encoder is None:
        return []
    return [int(encoder.feed([text])["input_ids"].shape[1]) for text in inputs]


def _judged(
    prepared: _Prepared, trained: "Trained", store: Store, watcher: Watcher
) -> FinetuneResult:
    """Put the folder together, answer the held-out examples with it, publish it."""
    request, base, data = prepared.request, prepared.base, prepared.data
    watcher.stage("judge", len(data.parts[HELD_OUT].classes))
    with store.stage() as folder:
        interface = gather_model(trained.folder, base.folder, folder)
        held_out = _held_out(folder, interface, data, watcher)
        best = next(one for one in reversed(trained.evaluations) if one.best)
        finish_folder(
            folder,
            _record(prepared, best.epoch, held_out),
            _texts_to_judge_with(prepared),
        )
        entries = entries_of(folder)
        watcher.stage("publish")
        publish_model(folder, entries, request.output)
    memory = _memory(prepared.settled, trained)
    return FinetuneResult(
        base=base.name,
        resolved=base.resolved,
        options=prepared.settled.options,
        reason=prepared.settled.reason,
        labels=data.labels,
        new_head=data.new_head,
        examples={name: len(part.classes) for name, part in data.parts.items()},
        epochs=trained.epochs,
        steps=trained.steps,
        best_epoch=best.epoch,
        stopped=trained.stopped,
        held_out=held_out,
        evaluations=trained.evaluations,
        curve=trained.curve,
        seconds=trained.seconds,
        processes=_processes(),
        resumed_from=trained.resumed_from,
        memory=memory,
        parameters=trained.parameters,
        parameters_trained=trained.parameters_trained,
        folder=str(request.output),
        digest=entries_digest(entries),
        weights_sha256=weights_sha256(entries),
        warnings=(*base.notes, *data.notes, *_doubts(prepared, held_out)),
        exit_code=ExitCode.ACCEPTED,
    )


def _processes() -> int:
    from deployopt.modeling.training.ranks import process_count

    return process_count()


def _record(prepared: _Prepared, best_epoch: float, held_out: HeldOut) -> TrainingRecord:
    data = prepared.data
    return TrainingRecord(
        base=prepared.base.resolved,
        base_digest=prepared.base.digest,
        options=prepared.settled.options,
        labels=data.labels,
        examples={name: len(part.classes) for name, part in data.parts.items()},
        data_sha256=data.digests,
        best_epoch=best_epoch,
        held_out=held_out,
        tools=_tools(),
        processes=_processes(),
    )


def _held_out(folder: Path, interface: Interface, data: TrainingData, watcher: Watcher) -> HeldOut:
    from deployopt.device.setup import threads_here
    from deployopt.modeling.reference import predict

    part = data.parts[HELD_OUT]
    requests = list(feeds(interface, folder, list(part.inputs), _ONE))
    logits = predict(
        folder, interface, requests, threads=threads_here(_THREADS), progress=watcher.advance
    )
    right = int((np.argmax(logits, axis=1) == np.asarray(part.classes)).sum())
    total = len(part.classes)
    return HeldOut(
        examples=total,
        right=right,
        accuracy=right / total,
        lower=proportion_lower(right, total, _TWO_SIDED),
        upper=proportion_upper(right, total, _TWO_SIDED),
    )


def _texts_to_judge_with(prepared: _Prepared) -> Examples | None:
    """Texts that were held out of the file that was trained on: a later build needs them."""
    part = prepared.data.parts[HELD_OUT]
    if prepared.data.judged_apart or not isinstance(prepared.base.inputs, TextInputs):
        return None
    return Examples(inputs=list(part.inputs), labels=part.classes)


def _memory(settled: Settled, trained: "Trained") -> TrainingMemory:
    total = settled.need.total
    return TrainingMemory(
        predicted=total,
        measured_bytes=trained.peak_bytes,
        ratio=trained.peak_bytes / total.value,
        inside=total.lower <= trained.peak_bytes <= total.upper,
        measured=trained.peak_of,
    )


def _doubts(prepared: _Prepared, held_out: HeldOut) -> tuple[str, ...]:
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
    if not data.judged_apart:
        judge = f"{request.output}/{HELD_OUT_FILE}"
        doubts.append(
            f"Most of {request.data} was trained on. Judge a build with examples that were not: "
            + (f"--data {judge}." if isinstance(prepared.base.inputs, TextInputs) else "others.")
        )
    return tuple(doubts)
