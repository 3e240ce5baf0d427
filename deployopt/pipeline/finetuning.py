"""`finetune`: a base and data become a classifier, or a language model, that `build` takes.

In: a request. Out: a folder, published whole or not at all, and what is known of it: how well it
answers what had no part in it, memory beside its prediction, the loss as it fell. Several
processes (torchrun) run the same code; the leader decides, writes and tells the others.
"""

import time
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from deployopt.core.codec import decode_json, encode_json
from deployopt.core.errors import MissingExtraError
from deployopt.core.interface import Interface, Task, TextInputs
from deployopt.core.memory import Method
from deployopt.core.target import Target
from deployopt.core.tasks import ModelTask
from deployopt.core.training_request import FinetuneRequest
from deployopt.core.training_result import FinetuneResult
from deployopt.core.watching import SILENT, Watcher
from deployopt.modeling.training.job import Trained
from deployopt.pipeline.language.tuned import judged_dialogues
from deployopt.pipeline.language.tuning import PreparedDialogues, prepare_dialogues
from deployopt.pipeline.training_checkpoints import StoreCheckpoints
from deployopt.pipeline.training_job import (
    TOOLS,
    Prepared,
    PreparedExamples,
    run_key,
    token_lengths,
    training_job,
)
from deployopt.pipeline.training_judging import UNMERGED, judged
from deployopt.pipeline.training_options import Settled, Subject, settle_options
from deployopt.pipeline.training_sites import this_site
from deployopt.planning.architectures import read_architecture
from deployopt.sources.checks import read_object
from deployopt.sources.folder import ENTRY, OUTPUT, model_type
from deployopt.sources.headers import stored_weights
from deployopt.sources.training_base import TrainingBase, resolve_base
from deployopt.sources.training_data import TrainingData, read_training_data
from deployopt.sources.training_lots import TRAIN, VALIDATION
from deployopt.store.faults import storage_errors
from deployopt.store.model_folders import check_model_destination
from deployopt.store.store import Store

_TASKS: Final = {
    Task.TEXT_CLASSIFICATION: ModelTask.TEXT_CLASSIFICATION,
    Task.IMAGE_CLASSIFICATION: ModelTask.IMAGE_CLASSIFICATION,
}
_WEIGHT_COPIES: Final = 8
"""On the disk at most: a checkpoint with its states, twice, and the finished model, twice."""


def run_finetune(request: FinetuneRequest, watcher: Watcher = SILENT) -> FinetuneResult:
    """Train, judge, publish.

    Raises:
        UsageError: options, model or data that cannot be trained with.
        CannotFitError: it surely does not fit the target.
        StepError: the loss is no number, or nothing could be trained in time.
        MissingExtraError: the packages for building are not installed.
        StorageError: the disk failed, or is full.
    """
    began = time.perf_counter_ns()
    check_model_destination(request.output)
    _require_packages()
    from deployopt.modeling.training import ranks

    ranks.join()
    try:
        with Store(request.store) as store, storage_errors("training", store.layout.root):
            prepared = _prepared(request, store, watcher if ranks.is_leader() else SILENT)
            result = _trained(prepared, store, watcher if ranks.is_leader() else SILENT, began)
    finally:
        ranks.leave()
    return result


def _require_packages() -> None:
    if any(find_spec(name) is None for name in TOOLS):
        raise MissingExtraError("Fine-tuning", "build")


def _prepared(request: FinetuneRequest, store: Store, watcher: Watcher) -> Prepared:
    from deployopt.modeling.training import ranks

    watcher.stage("model and data")
    # The others find in the store what the leader has fetched.
    if not ranks.is_leader():
        ranks.wait()
    base = resolve_base(request.model, store)
    if base.task is Task.TEXT_GENERATION:
        return prepare_dialogues(request, base, _this_machine, watcher)
    data = read_training_data(
        request.data, request.evaluation_data, base=base, store=store, columns=request.columns
    )
    if ranks.is_leader():
        ranks.wait()
    interface = Interface(task=base.task, inputs=base.inputs, outputs=(OUTPUT,), labels=data.labels)
    lengths = {name: token_lengths(base, data.parts[name].inputs) for name in (TRAIN, VALIDATION)}
    decided = ""
    if ranks.is_leader():
        decided = encode_json(_settle(request, base, data, lengths[TRAIN])).decode()
    told = ranks.told_by_leader(decided)
    settled = decode_json(told.encode(), Settled, where="the options")
    if settled.options.method is Method.PREFIX:
        watcher.note(UNMERGED)
    return PreparedExamples(
        request=request, base=base, data=data, interface=interface, settled=settled, lengths=lengths
    )


def _settle(
    request: FinetuneRequest, base: TrainingBase, data: TrainingData, lengths: list[int]
) -> Settled:
    config = read_object(base.folder / ENTRY)
    inputs = base.inputs
    subject = Subject(
        name=base.name,
        architecture=read_architecture(config, stored_weights(base.folder)),
        task=_TASKS[base.task],
        examples=len(data.parts[TRAIN].classes),
        lengths=lengths,
        length_max=inputs.max_length if isinstance(inputs, TextInputs) else 1,
        model_type=model_type(config),
    )
    return settle_options(request, subject, request.target or _this_machine(), this_site())


def _this_machine() -> Target:
    from deployopt.device.detect import detect

    return detect()


def _trained(prepared: Prepared, store: Store, watcher: Watcher, began: int) -> FinetuneResult:
    from deployopt.modeling.training import ranks
    from deployopt.modeling.training.run import train

    size = sum(path.stat().st_size for path in prepared.base.folder.glob("*.safetensors"))
    store.require_space(_WEIGHT_COPIES * size, "This training")
    checkpoints = StoreCheckpoints(store, run_key(prepared))
    with store.stage() as staged:
        workdir = Path(ranks.told_by_leader(str(staged)))
        trained = train(training_job(prepared, workdir, checkpoints, watcher, began))
        said = ""
        if ranks.is_leader():
            result = _judged(prepared, trained, store, watcher)
            checkpoints.forget()
            said = encode_json(result).decode()
        said = ranks.told_by_leader(said)
    return decode_json(said.encode(), FinetuneResult, where="the result")


def _judged(prepared: Prepared, trained: Trained, store: Store, watcher: Watcher) -> FinetuneResult:
    if isinstance(prepared, PreparedDialogues):
        return judged_dialogues(prepared, trained, store, watcher)
    if isinstance(prepared, PreparedExamples):
        return judged(prepared, trained, store, watcher)
    raise TypeError(type(prepared).__name__)
