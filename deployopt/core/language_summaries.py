"""A language model's raw trials become the figures that people read, as core/summaries.py does it.

In: the rounds with the times of every answer; the documents and prompts that were scored. Out:
records for results, in base units.
"""

import math
from collections.abc import Sequence
from statistics import median
from typing import Final

import numpy as np

from deployopt.core.answer_rounds import (
    answered,
    decode_logs,
    decode_rates,
    first_tokens,
    joules_a_token,
    prefill_rates,
)
from deployopt.core.evidence import Evidence
from deployopt.core.figure import Figure
from deployopt.core.language_result import GenerationSummary, ScoreSummary
from deployopt.core.latency_check import CONFIDENCE
from deployopt.core.measurement import Trial
from deployopt.core.nll import nll_increase_bounds
from deployopt.core.paired import LossBounds
from deployopt.core.ratio import LEAST_UNITS
from deployopt.core.scores import DocumentScore, ScoreTrial
from deployopt.core.summaries import TAIL, over_rounds, quantile_figure, ratio_figure
from deployopt.core.token_agreement import token_agreement_bounds

_TOKEN_TAIL: Final = 0.95


def generation_summary(
    trial: Trial, quantile: float = TAIL, *, base: Trial | None = None
) -> GenerationSummary | None:
    """Figures over the counted rounds; None where no round has answers or none of them counts."""
    counted = [one.answers for one in trial.counted if one.answers is not None]
    firsts = np.asarray([s for one in first_tokens(trial) for s in one])
    if not answered(trial) or not firsts.size:
        return None
    tokens = np.asarray([s for one in counted for s in one.token_s])
    logs = [] if base is None else decode_logs(trial, base)
    return GenerationSummary(
        requests=int(firsts.size),
        prompt_tokens=round(median(n for one in counted for n in one.prompt_tokens)),
        answer_tokens=round(median(n for one in counted for n in one.answer_tokens)),
        quantile=quantile,
        first_token=quantile_figure(firsts, 0.5, trial.evidence),
        first_token_tail=quantile_figure(firsts, quantile, trial.evidence),
        token_s=_plain(tokens, 0.5, trial.evidence),
        token_tail_s=_plain(tokens, _TOKEN_TAIL, trial.evidence),
        decode_tps=over_rounds(decode_rates(trial), trial.evidence),
        prefill_tps=over_rounds(prefill_rates(trial), trial.evidence),
        ratio=ratio_figure(logs, trial.evidence),
        energy_token=over_rounds(joules_a_token(trial), trial.evidence),
    )


def score_summary(trial: ScoreTrial, confidence: float = CONFIDENCE) -> ScoreSummary:
    """The paired trial in a few numbers; without bounds where there are too few to say."""
    documents, answers = trial.documents, tuple(one for one in trial.answers if one.tokens)
    tokens, answered_tokens = (sum(one.tokens for one in part) for part in (documents, answers))
    reference, candidate = _a_token(documents)
    increase = None
    if reference is not None and candidate is not None and reference > 0:
        increase = candidate / reference - 1.0
    agreed = sum(one.agreed for one in answers)
    enough, several = len(documents) >= LEAST_UNITS, len(answers) >= LEAST_UNITS
    return ScoreSummary(
        split=trial.split,
        documents=len(documents),
        tokens=tokens,
        reference_nll=reference,
        candidate_nll=candidate,
        increase=_figure(
            increase,
            nll_increase_bounds(documents, confidence) if enough and increase is not None else None,
            (len(documents), confidence, trial.evidence),
        ),
        prompts=len(answers),
        answer_tokens=answered_tokens,
        agreement=_figure(
            agreed / answered_tokens if answered_tokens else None,
            token_agreement_bounds(answers, confidence) if several else None,
            (len(answers), confidence, trial.evidence),
        ),
        non_finite=trial.non_finite,
        full_context_rss_bytes=trial.full_context_rss_bytes,
        note=trial.note,
    )


def _a_token(documents: Sequence[DocumentScore]) -> tuple[float | None, float | None]:
    """Nats a token of the reference and of the candidate."""
    tokens = sum(one.tokens for one in documents)
    if not tokens:
        return None, None
    sums = (
        sum(one.reference_nll for one in documents),
        sum(one.candidate_nll for one in documents),
    )
    return sums[0] / tokens, sums[1] / tokens


def _figure(
    value: float | None, bounds: LossBounds | None, basis: tuple[int, float, Evidence]
) -> Figure:
    samples, confidence, evidence = basis
    if bounds is None:
        return Figure(value=value, samples=samples, evidence=evidence)
    lower, upper = (b if math.isfinite(b) else None for b in (bounds.lower, bounds.upper))
    return Figure(
        value=value,
        lower=lower,
        upper=upper,
        confidence=confidence,
        samples=samples,
        evidence=evidence,
    )


def _plain(
    samples: "np.ndarray[tuple[int], np.dtype[np.float64]]", quantile: float, evidence: Evidence
) -> Figure | None:
    if not samples.size:
        return None
    value = float(np.quantile(samples, quantile))
    return Figure(value=value, samples=int(samples.size), evidence=evidence)
