"""What the reference and a candidate say of a split's documents, each asked once and kept.

As pipeline/answering.py does it for classifiers: the store's key holds all that decides the answer.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from deployopt.core.artifact import Artifact
from deployopt.core.card import STAND_IN
from deployopt.core.choices import ChoiceQuestion, decode_questions
from deployopt.core.codec import to_plain
from deployopt.core.measurement import Split
from deployopt.core.samples import decode_samples
from deployopt.core.scores import Scored, ScoreTrial, decode_scored, encode_scored, score_trial
from deployopt.core.worked import Worked
from deployopt.device.generating.asking import Questions, score
from deployopt.device.machine import exact_for
from deployopt.device.setup import setup_of, threads_on
from deployopt.pipeline.answering import limits_for
from deployopt.pipeline.language.cards import on_card
from deployopt.pipeline.language.preparing import PreparedLanguage
from deployopt.pipeline.language.standing_in import stand_in_of
from deployopt.pipeline.references import Note, reference_keys, untold
from deployopt.steps.score_reference import score_reference
from deployopt.store.keys import JsonValue, cache_key
from deployopt.store.store import StoredObject
from deployopt.store.writing import write_new_file

_VERSION: Final = 1
_FILE: Final = "scored.npz"
_RUNTIME: Final = ("onnxruntime", "onnxruntime-genai", "numpy")
_REFERENCE: Final = ("torch", "transformers", "numpy")
Progress = Callable[[float, str], None]


def reference_scores(
    prepared: PreparedLanguage, split: Split, progress: Progress, note: Note = untold
) -> tuple[Scored, StoredObject]:
    """What the model as it came says of the split, through the library that it came for.

    `note` is told where a card could not be used for it.
    """
    asked = _key(prepared, prepared.source.artifact, split)
    keys = reference_keys(asked, _REFERENCE, prepared.bench.threads)
    stored = keys.lookup(prepared.bench.store)
    if stored is None:
        worked = Worked()
        documents = decode_samples(prepared.dataset.splits[split].path)
        prompts = decode_samples(prepared.asked[split])
        found = score_reference(
            prepared.source,
            documents,
            prompts,
            prepared.bench.threads,
            progress,
            questions=_questions(prepared, split),
            worked=worked,
        )
        stored = _keep(prepared, keys.of(worked), found)
        if worked.note:
            note(worked.note)
    return decode_scored(stored.folder / _FILE), stored


def candidate_scores(
    prepared: PreparedLanguage, artifact: Artifact, split: Split, progress: Progress
) -> Scored:
    """What the artifact says of the split in the session that ships, in a fresh process.

    Raises:
        DeviceError: it crashed, hung, or took more than it may.
    """
    machine, target = prepared.machine, prepared.request.target
    apart = on_card(target)
    asked = stand_in_of(prepared.bench, artifact, progress) if apart else artifact
    # Memory of a full context, and answers that are to be timed, are the card's own affair.
    answering = prepared.answering
    if apart:
        answering = msgspec.structs.replace(answering, tokens=1)
    theirs, reference = reference_scores(prepared, split, progress)
    key = _key(prepared, asked, split) | {
        "isa": [machine.arch, *machine.isa],
        "session": to_plain(artifact.session),
        "reference": reference.digest,
        "timed": prepared.bench.store.memo.sha256(prepared.timed),
        "answering": to_plain(answering),
        "tools": {name: machine.packages.get(name, "") for name in _RUNTIME},
        "threads": threads_on(machine, target.runtime.threads),
    }
    stored = prepared.bench.store.lookup(cache_key(key))
    if stored is None:
        questions = Questions(
            documents=prepared.dataset.splits[split].path,
            asked=prepared.asked[split],
            timed=prepared.timed,
            choices=None if prepared.choices is None else prepared.choices.splits[split].path,
        )
        with prepared.bench.store.stage() as folder:
            setup = setup_of(asked, target, machine, prepared.source.interface.outputs)
            found, _ = score(
                msgspec.structs.replace(setup, provider="cpu") if apart else setup,
                questions,
                theirs,
                answering,
                folder,
                prepared.device,
                fill=not apart,
                limits=limits_for(prepared),
                progress=progress,
            )
        stored = _keep(prepared, cache_key(key), found)
    return decode_scored(stored.folder / _FILE)


def trial_of(
    prepared: PreparedLanguage, artifact: Artifact, split: Split, progress: Progress
) -> ScoreTrial:
    """The artifact on the split, paired with the reference."""
    reference, _ = reference_scores(prepared, split, progress)
    return score_trial(
        artifact.digest,
        split,
        prepared.evidence,
        reference,
        candidate_scores(prepared, artifact, split, progress),
        questions=_questions(prepared, split),
        exact_arithmetic=exact_for(
            prepared.request.target,
            prepared.machine,
            artifact.precision,
            reduced_range=prepared.reduced_range,
        )
        or on_card(prepared.request.target),
        stand_in=STAND_IN if on_card(prepared.request.target) else None,
    )


def _key(prepared: PreparedLanguage, artifact: Artifact, split: Split) -> dict[str, JsonValue]:
    key: dict[str, JsonValue] = {
        "scores": _VERSION,
        "artifact": artifact.digest,
        "documents": prepared.dataset.splits[split].digest,
        "asked": prepared.bench.store.memo.sha256(prepared.asked[split]),
    }
    if prepared.choices is not None:
        key["choices"] = prepared.choices.splits[split].digest
    return key


def _questions(prepared: PreparedLanguage, split: Split) -> tuple[ChoiceQuestion, ...]:
    if prepared.choices is None:
        return ()
    return decode_questions(prepared.choices.splits[split].path)


def _keep(prepared: PreparedLanguage, key: str, found: Scored) -> StoredObject:
    with prepared.bench.store.stage() as folder:
        write_new_file(folder / _FILE, encode_scored(found))
        return prepared.bench.store.commit(folder, key)
