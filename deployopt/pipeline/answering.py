"""What the reference and a candidate answer to a split, each asked once and kept in the store.

Answers are a function of the model's bytes, the examples, the runtime and this machine's
arithmetic; all of that is in the key, so that an identical build asks nothing twice.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.card import ORT_GPU, TENSORRT_PACKAGES
from deployopt.core.codec import decode_json, encode_json, to_plain
from deployopt.core.measurement import Split
from deployopt.core.samples import Feed, decode_samples, encode_samples
from deployopt.core.worked import Worked
from deployopt.core.workload import Workload
from deployopt.device.accuracy import Evaluation, evaluate
from deployopt.device.reference import Reference, reference_of
from deployopt.device.setup import EvaluationSet, Limits, Setup, setup_of, threads_on
from deployopt.pipeline.ground import Ground
from deployopt.pipeline.preparing import Prepared, split_feeds
from deployopt.pipeline.references import Note, ReferenceKeys, reference_keys, untold
from deployopt.pipeline.runtimes import built_apart
from deployopt.steps.engine import graph_asked
from deployopt.steps.session import GRAPH_SESSION
from deployopt.store.keys import JsonValue, cache_key
from deployopt.store.store import StoredObject
from deployopt.store.writing import write_new_file

_VERSION: Final = 2
_ANSWERS: Final = "answers.npz"
_CPU: Final = "cpu"
_RUNTIME: Final = ("onnxruntime", "numpy", "tokenizers")
_OPENVINO: Final = ("openvino", "numpy", "tokenizers")
_REFERENCE: Final = ("torch", "transformers", *_RUNTIME)
_DRAWING: Final = ("diffusers", *_REFERENCE)
Progress = Callable[[float, str], None]


class _Taken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an evaluation took, beside its answers."""

    examples: int
    non_finite: int
    peak_rss_bytes: int
    base_rss_bytes: int
    seconds: float


def reference_answers(
    prepared: Prepared, split: Split, progress: Progress, note: Note = untold
) -> Reference:
    """What the model as it came answers to the split, through the library that it came for.

    `note` is told where a card could not be used for it.
    """
    if prepared.source.artifact.format is Format.ONNX:
        evaluation = candidate_answers(prepared, prepared.source.artifact, split, progress)
        return reference_of(prepared.source.interface, evaluation.outputs)
    keys = _reference_keys(prepared, split)
    stored = keys.lookup(prepared.bench.store)
    if stored is None:
        worked = Worked()
        answers = _ask_torch(prepared, split, progress, worked)
        stored = _keep(prepared, keys.of(worked), answers, b"{}")
        if worked.note:
            note(worked.note)
    outputs = decode_samples(stored.folder / _ANSWERS)
    return reference_of(prepared.source.interface, outputs)


def candidate_answers(
    prepared: Prepared, artifact: Artifact, split: Split, progress: Progress
) -> Evaluation:
    """What the artifact answers in the session that ships, in a fresh process.

    Raises:
        DeviceError: it crashed, hung, or took more than it may.
    """
    key = _candidate_key(prepared, artifact, split)
    stored = prepared.bench.store.lookup(key)
    if stored is not None:
        taken = decode_json(stored.meta, _Taken, where="The store's record of an evaluation")
        outputs = tuple(decode_samples(stored.folder / _ANSWERS))
        return Evaluation(outputs=outputs, **msgspec.structs.asdict(taken))
    with prepared.bench.store.stage() as folder:
        found = evaluate(
            candidate_setup(prepared, artifact),
            evaluation_set(prepared, split),
            folder,
            prepared.device,
            limits=limits_for(prepared),
            progress=progress,
        )
    taken = _Taken(
        examples=found.examples,
        non_finite=found.non_finite,
        peak_rss_bytes=found.peak_rss_bytes,
        base_rss_bytes=found.base_rss_bytes,
        seconds=found.seconds,
    )
    _keep(prepared, key, found.outputs, encode_json(taken))
    return found


def candidate_setup(prepared: Prepared, artifact: Artifact) -> Setup:
    """The artifact as it runs on the target, asked for the outputs that count.

    In the place of what only a card can open, its graph is asked on this machine's CPU.
    """
    target, outputs = prepared.request.target, prepared.source.interface.outputs
    if target.runtime.provider == _CPU or not built_apart(target, prepared.machine):
        return setup_of(artifact, target, prepared.machine, outputs)
    graph = graph_asked(artifact)
    setup = setup_of(graph, target, prepared.machine, outputs)
    given = artifact.digest == prepared.source.artifact.digest
    return msgspec.structs.replace(
        setup,
        provider=_CPU,
        runtime=graph.runtime,
        session=setup.session if given else GRAPH_SESSION,
    )


def evaluation_set(prepared: Prepared, split: Split) -> EvaluationSet:
    """The split as the device reads it."""
    return EvaluationSet(
        interface=prepared.source.interface,
        folder=prepared.source.artifact.folder,
        examples=prepared.dataset.splits[split].path,
        workload=prepared.request.target.workload,
    )


def limits_for(prepared: Ground) -> Limits:
    """A candidate may take what this machine has, less a gigabyte for everyone else."""
    there = prepared.machine.memory_limit_bytes or prepared.machine.memory_bytes
    return Limits(memory_bytes=max(there // 2, there - 2**30))


def _ask_torch(
    prepared: Prepared, split: Split, progress: Progress, worked: Worked
) -> Sequence[Feed]:
    from deployopt.steps.reference import (
        draw_reference_images,
        find_reference_boxes,
        predict_reference,
    )

    source, threads = prepared.source, prepared.bench.threads
    feeds = split_feeds(source, prepared.dataset, split)
    if source.interface.draws:
        return draw_reference_images(source, feeds, threads, progress, worked)
    if source.interface.detects or source.interface.pairs:
        return find_reference_boxes(source, feeds, threads, progress, worked)
    logits = predict_reference(source, feeds, threads, progress, worked)
    name = source.interface.outputs[0]
    return [{name: logits[i : i + 1]} for i in range(len(logits))]


def _keep(prepared: Prepared, key: str, outputs: Sequence[Feed], meta: bytes) -> StoredObject:
    with prepared.bench.store.stage() as folder:
        write_new_file(folder / _ANSWERS, encode_samples(outputs))
        return prepared.bench.store.commit(folder, key, meta=meta)


def _reference_keys(prepared: Prepared, split: Split) -> ReferenceKeys:
    """Of answers that are worked out here, whichever device measures."""
    tools = _DRAWING if prepared.source.interface.draws else _REFERENCE
    asked = _asked(prepared, prepared.source.artifact, split)
    return reference_keys(asked | {"workload": to_plain(Workload())}, tools, prepared.bench.threads)


def _candidate_key(prepared: Prepared, artifact: Artifact, split: Split) -> str:
    """Of answers that the device gave, with the packages that it has."""
    machine, setup = prepared.machine, candidate_setup(prepared, artifact)
    for_cards = tuple({ORT_GPU, *TENSORRT_PACKAGES} & machine.packages.keys())
    tools = _OPENVINO if artifact.runtime == "openvino" else (*_RUNTIME, *for_cards)
    return cache_key(
        _asked(prepared, artifact, split)
        | {
            "isa": [machine.arch, *machine.isa],
            "workload": to_plain(prepared.request.target.workload),
            "tools": {name: machine.packages.get(name, "") for name in tools},
            "threads": threads_on(machine, prepared.request.target.runtime.threads),
        }
        | ({} if setup.provider == _CPU else {"provider": setup.provider, "gpus": machine.gpus})
    )


def _asked(prepared: Prepared, artifact: Artifact, split: Split) -> dict[str, JsonValue]:
    return {
        "answers": _VERSION,
        "artifact": artifact.digest,
        "session": to_plain(artifact.session),
        "examples": prepared.dataset.splits[split].digest,
        "interface": to_plain(prepared.source.interface),
    }
