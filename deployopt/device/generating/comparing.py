"""Two language models against each other: the same documents and prompts, answers in turns.

In: an old side and a new one. Out: a Comparison, as device/compare.py gives of classifiers. Both
are asked the new one's gate split in fresh processes, a filled context included, then timed.
"""

from typing import Final

import numpy as np

from deployopt.core.choice_accuracy import choice_accuracy
from deployopt.core.comparison import Comparison, Difference, Margins
from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.language_regression import (
    agreement_difference,
    decode_difference,
    first_token_difference,
    full_context_difference,
    language_refusals,
    language_settled,
    nll_difference,
    same_scores,
)
from deployopt.core.measurement import Split, Trial
from deployopt.core.regression import (
    accuracy_difference,
    latency_difference,
    memory_difference,
    same_answers,
    size_difference,
)
from deployopt.core.relative import LOOKS
from deployopt.core.scores import Scored, ScoreTrial, score_trial
from deployopt.core.text import safe_text
from deployopt.core.told_differences import operator_difference, precision_difference
from deployopt.core.watching import SILENT, Watcher
from deployopt.device.generating.asking import prompt_pool, score
from deployopt.device.generating.config import read_genai_config
from deployopt.device.generating.sides import (
    LanguageSide,
    language_notes_of,
    require_same_tokens,
)
from deployopt.device.latency import Place, Schedule, measure, requests_per_round
from deployopt.device.machine import exact_for
from deployopt.device.onnx_operators import count_operators
from deployopt.device.ring import ROUND_S, Ring, Terms
from deployopt.device.setup import Arm

_MEDIAN: Final = (0.5,)
"""What the rounds have to tell: no quantile but the middle one."""


def compare_language(
    old: LanguageSide, new: LanguageSide, ring: Ring, terms: Terms, watcher: Watcher = SILENT
) -> Comparison:
    """Both are asked the new one's gate split, then timed against each other.

    Raises:
        UsageError: they read other tokens, or the old one cannot answer what the new one is asked.
        DeviceError: one of them cannot answer, or neither can be timed.
    """
    require_same_tokens((old.told.name, old.tokenizer), (new.told.name, new.tokenizer))
    _require_room(old, new)
    margins, same = terms.margins, old.is_same_model(new)
    watcher.stage("Answers of the new one", new.documents)
    there = _ask(new, new, ring, watcher)
    if same:
        before = there
    else:
        watcher.stage("Answers of the old one", new.documents)
        before = _ask(old, new, ring, watcher)
    scores = _paired(old, new, before, there, ring)
    watcher.stage("Answers, one beside the other", quiet=True)
    trials = _timed((old, before), (new, there), ring, terms, watcher)
    full = full_context_difference(
        before.full_context_rss_bytes, there.full_context_rss_bytes, trials, margins.cost
    )
    differences = (
        latency_difference(*trials, margins.cost),
        first_token_difference(*trials, margins.cost),
        decode_difference(*trials, margins.cost),
        *_quality(scores, margins, same=same),
        memory_difference(*trials, margins.cost),
        *([] if full is None else [full]),
        size_difference(old.told.size_bytes, new.told.size_bytes, margins.cost),
        precision_difference(old.told.precision.value, new.told.precision.value),
        operator_difference(_operators(old), _operators(new)),
    )
    refusals = language_refusals(scores, trials[1])
    notes = language_notes_of(old, new)
    return ring.conclude((old, new), trials, differences, refusals, notes, margins)


def _require_room(old: LanguageSide, new: LanguageSide) -> None:
    """The old one has to take what the new one's workload asks."""
    wanted, most = new.answering.context, old.inputs.context
    if wanted > most:
        raise UsageError(
            f"{safe_text(new.told.name)} is asked in a context of {wanted:,} tokens, and "
            f"{safe_text(old.told.name)} takes {most:,}. Build the new one with a workload.context "
            "that both take, or name another old bundle."
        )


def _ask(side: LanguageSide, new: LanguageSide, ring: Ring, watcher: Watcher) -> Scored:
    """What it says of the new one's gate split; positions are those of the new one's reference."""
    found, _ = score(
        side.setup,
        new.questions,
        new.reference,
        new.answering,
        ring.workdir,
        ring.device,
        limits=ring.device.limits(),
        progress=watcher.advance,
    )
    return found


def _paired(
    old: LanguageSide, new: LanguageSide, before: Scored, after: Scored, ring: Ring
) -> ScoreTrial:
    """Both on the same documents, the old one in the reference's place."""
    if not np.isfinite(before.nll).all():
        raise UsageError(
            f"{safe_text(old.told.name)} gives likelihoods that are not finite numbers, so nothing "
            "can be judged beside it. Name another bundle to compare with."
        )
    return score_trial(
        new.told.artifact,
        Split.GATE,
        ring.evidence,
        before,
        after,
        questions=new.choices,
        exact_arithmetic=all(
            exact_for(
                new.target,
                ring.device.machine,
                side.told.precision,
                reduced_range=side.reduced_range,
            )
            for side in (old, new)
        ),
        note=f"against {old.told.name}",
    )


def _quality(scores: ScoreTrial, margins: Margins, *, same: bool) -> tuple[Difference, ...]:
    """Likelihood and, where questions were asked, accuracy are judged; agreement is told."""
    agreed = None if same else agreement_difference(scores)
    accuracy = choice_accuracy(scores)
    right = () if accuracy is None else (accuracy,)
    judge = same_answers if same else accuracy_difference
    return (
        same_scores(scores, margins.nll) if same else nll_difference(scores, margins.nll),
        *(judge(one, margins.accuracy) for one in right),
        *([] if agreed is None else [agreed]),
    )


def _timed(
    old: tuple[LanguageSide, Scored],
    new: tuple[LanguageSide, Scored],
    ring: Ring,
    terms: Terms,
    watcher: Watcher,
) -> tuple[Trial, Trial]:
    questions = new[0].questions
    arms = [
        Arm(setup=side.setup, inputs=prompt_pool(questions, scored)) for side, scored in (old, new)
    ]
    looks = tuple(look.rounds for look in LOOKS)
    schedule = Schedule(
        looks=looks,
        requests=requests_per_round(_MEDIAN, looks[0]),
        min_round_s=ROUND_S[ring.evidence],
        seed=terms.seed,
        wall_s=terms.time_limit_s,
        limits=ring.device.limits(),
        answering=new[0].answering,
    )
    place = Place(device=ring.device, evidence=ring.evidence, workdir=ring.workdir)
    before, after = measure(
        arms,
        schedule,
        place,
        decided=lambda trials: language_settled(trials[0], trials[1], terms.margin),
        progress=watcher.advance,
    )
    if before.failure is not None and after.failure is not None:
        raise DeviceError(f"Neither of the two can be measured. {after.failure}")
    return before, after


def _operators(side: LanguageSide) -> dict[str, int]:
    model = side.setup.model
    return count_operators(model.with_name(read_genai_config(model).model.decoder.filename))
