"""A tuned language model is put together, judged beside its base, and published.

In: a finished run. Out: the folder at its destination, and how likely it takes held-out answers to
be, beside the base that it came from: paired, with the bound of core/nll.py. Only the leader of
several processes does this.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from deployopt.core.dialogues import Sample
from deployopt.core.errors import StepError
from deployopt.core.nll import nll_increase_bounds
from deployopt.core.scores import DocumentScore
from deployopt.core.training_result import FinetuneResult, HeldDialogues
from deployopt.core.watching import Watcher
from deployopt.modeling.training.job import Trained
from deployopt.pipeline.language.tuning import PreparedDialogues, held_out_lines
from deployopt.pipeline.training_folder import (
    HELD_OUT_FILE,
    entries_of,
    finish_folder,
    gather_model,
)
from deployopt.pipeline.training_telling import record_of, training_result
from deployopt.sources.document_counts import DOCUMENTS_MIN
from deployopt.sources.documents import DOCUMENT_TOKENS_MIN
from deployopt.sources.splits import alike
from deployopt.sources.training_lots import HELD_OUT
from deployopt.store.model_folders import publish_model
from deployopt.store.store import Store

NOT_BETTER: Final = "It is not shown to be better than its base"


def judged_dialogues(
    prepared: PreparedDialogues, trained: Trained, store: Store, watcher: Watcher
) -> FinetuneResult:
    """Ask both models, write the record, publish the folder."""
    request, base, data = prepared.request, prepared.base, prepared.data
    with store.stage() as folder:
        gather_model(trained.folder, base.folder, folder)
        held = _held(prepared, folder, watcher)
        record = msgspec.structs.replace(record_of(prepared, trained), held_dialogues=held)
        finish_folder(folder, record, None if data.judged_apart else held_out_lines(prepared))
        entries = entries_of(folder)
        watcher.stage("publish")
        publish_model(folder, entries, request.output)
    return msgspec.structs.replace(
        training_result(prepared, trained, entries),
        held_dialogues=held,
        warnings=(*base.notes, *prepared.notes, *_doubts(prepared, held)),
    )


def _held(prepared: PreparedDialogues, folder: Path, watcher: Watcher) -> HeldDialogues:
    from deployopt.modeling.language.likelihood import marked_nll
    from deployopt.modeling.training.places import compute_threads

    samples = prepared.parts[HELD_OUT]
    watcher.stage("judge", 2 * len(samples))
    nll = []
    for half, (name, model) in enumerate(((" base", prepared.base.folder), (" tuned", folder))):

        def told(share: float, words: str, half: int = half, name: str = name) -> None:
            watcher.advance((half + share) / 2, f"{words}, {name.strip()}")

        nll.append(
            marked_nll(model, prepared.interface, samples, threads=compute_threads(), progress=told)
        )
    documents = 0 if prepared.data.judged_apart else documents_in(samples, prepared.texts)
    return held_dialogues(samples, nll[0], nll[1], documents)


def held_dialogues(
    samples: Sequence[Sample], base: Sequence[float], tuned: Sequence[float], documents: int = 0
) -> HeldDialogues:
    """Both models' sums a sample, paired by dialogue.

    Raises:
        StepError: a model gives numbers that are not finite.
    """
    if not np.isfinite([*base, *tuned]).all():
        raise StepError(
            "A model gives numbers that are not finite on held-out dialogues. Train with a lower "
            "--learning-rate; nothing was written."
        )
    sums: dict[int, tuple[int, float, float]] = {}
    for sample, before, after in zip(samples, base, tuned, strict=True):
        tokens, one, other = sums.get(sample.of, (0, 0.0, 0.0))
        sums[sample.of] = (tokens + sample.judged, one + before, other + after)
    scores = [
        DocumentScore(tokens=tokens, reference_nll=before, candidate_nll=after)
        for tokens, before, after in sums.values()
    ]
    bounds = nll_increase_bounds(scores)
    total = sum(score.tokens for score in scores)
    return HeldDialogues(
        dialogues=len(scores),
        tokens=total,
        base_nll=sum(base) / total,
        tuned_nll=sum(tuned) / total,
        change=bounds.estimate,
        lower=bounds.lower,
        upper=bounds.upper,
        better=bounds.upper < 0.0,
        documents=documents,
    )


def documents_in(samples: Sequence[Sample], texts: Sequence[str]) -> int:
    """How many documents a build would find in them: long enough, and one of those alike.

    `texts` by dialogue; "" where there is none.
    """
    long = {sample.of for sample in samples if len(sample.ids) >= DOCUMENT_TOKENS_MIN}
    found = [texts[at] for at in sorted(long) if texts[at]]
    return len(set(alike(found).tolist()))


def _doubts(prepared: PreparedDialogues, held: HeldDialogues) -> tuple[str, ...]:
    """What a person should know before building from it."""
    request, doubts = prepared.request, []
    if not held.better:
        doubts.append(
            f"{NOT_BETTER}: on held-out answers its loss changed by {held.change:+.1%}, and by "
            f"{held.upper:+.1%} at worst. Train longer or on more, or keep the base."
        )
    if not prepared.data.judged_apart:
        enough = held.documents >= DOCUMENTS_MIN
        with_what = (
            f"--data {request.output}/{HELD_OUT_FILE}."
            if enough
            else f"at least {DOCUMENTS_MIN} texts of {DOCUMENT_TOKENS_MIN} tokens; the held-out "
            f"ones, of which {held.documents} are so long and differ, are too few."
        )
        doubts.append(
            f"Most of {request.data} was trained on. Judge a build with what was not: {with_what}"
        )
    doubts.append(
        "The loss says how likely held-out answers are, not whether they are right; what the model "
        "lost on other subjects was not measured."
    )
    return tuple(doubts)
