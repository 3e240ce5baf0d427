"""Is a new language model worse than the old one: what core/regression.py has not for classifiers.

In: trials of both from one run, and what both say of the same documents and prompts. Out: a
difference an aspect. Answers' times are judged as latency is; the likelihood by the interval of
core/nll.py, documents being clusters. Agreement is told and not judged: a model that chooses other
tokens is none the worse for that.
"""

from typing import Final

from deployopt.core.answer_rounds import (
    decode_logs,
    decode_rates,
    first_token_logs,
    first_tokens,
)
from deployopt.core.comparison import (
    AGREEMENT,
    DECODE,
    FIRST_TOKEN,
    FULL_CONTEXT,
    NLL,
    Change,
    Difference,
)
from deployopt.core.evidence import Evidence
from deployopt.core.latency_check import CONFIDENCE
from deployopt.core.measurement import Trial
from deployopt.core.nll import nll_increase_bounds
from deployopt.core.paired import LossBounds
from deployopt.core.quantiles import least_rounds
from deployopt.core.ratio import LEAST_UNITS
from deployopt.core.regression import (
    change_between,
    memory_ratios,
    settled,
    timed_difference,
)
from deployopt.core.relative import judge_relative
from deployopt.core.scores import ScoreTrial
from deployopt.core.standing import Standing
from deployopt.core.token_agreement import token_agreement_bounds

_MORE_DOCUMENTS: Final = "build with --data of more documents"


def language_settled(old: Trial, new: Trial, margin: float) -> bool:
    """Whether further rounds could change nothing, so that no more are run."""
    if old.failure is not None or new.failure is not None:
        return True
    ratios = (first_token_logs(new, old), decode_logs(new, old))
    return settled(old, new, margin) and all(
        judge_relative(logs, margin).standing is not Standing.UNSETTLED for logs in ratios
    )


def first_token_difference(old: Trial, new: Trial, margin: float) -> Difference:
    """The ratio of the rounds' median times to the first token."""
    values = [[s for one in first_tokens(trial) for s in one] for trial in (old, new)]
    logs = first_token_logs(new, old)
    return timed_difference(FIRST_TOKEN, (old, new), logs, (values[0], values[1]), margin)


def decode_difference(old: Trial, new: Trial, margin: float) -> Difference:
    """The ratio of the rounds' times a token; `old` and `new` are told in tokens a second."""
    rates = (decode_rates(old), decode_rates(new))
    return timed_difference(DECODE, (old, new), decode_logs(new, old), rates, margin)


def full_context_difference(
    old_bytes: int | None, new_bytes: int | None, trials: tuple[Trial, Trial], margin: float
) -> Difference | None:
    """Memory with a context filled to its end, of one process each; None where nobody filled one.

    One pair of numbers has no interval. It is taken to be off by as much as the ratios of the
    rounds' own peaks lie apart, and without five of those nothing is said.
    """
    if not old_bytes or not new_bytes:
        return None
    ratios = memory_ratios(*trials)
    enough = len(ratios) >= least_rounds()
    off = max(ratios) - min(ratios) if enough else None
    change = new_bytes / old_bytes - 1.0
    lower, upper = (None, None) if off is None else (change - off, change + off)
    outcome = Change.UNDECIDED
    if lower is not None and upper is not None:
        outcome = change_between(lower, upper, margin)
    return Difference(
        aspect=FULL_CONTEXT,
        outcome=outcome,
        old=float(old_bytes),
        new=float(new_bytes),
        change=change,
        lower=lower,
        upper=upper,
        limit=margin,
        samples=1,
        evidence=trials[1].evidence,
        reason="a process each, its context filled to the end; bounds are as far off as the "
        "ratios of the rounds' peaks lie apart",
        settle="measure more rounds" if outcome is Change.UNDECIDED else None,
    )


def nll_difference(trial: ScoreTrial, margin: float) -> Difference:
    """The increase of the mean NLL a token, from a trial whose reference is the old one."""
    documents = trial.documents
    tokens = sum(one.tokens for one in documents)
    if len(documents) < LEAST_UNITS or not tokens:
        return Difference(
            aspect=NLL,
            outcome=Change.UNDECIDED,
            limit=margin,
            samples=len(documents),
            evidence=trial.evidence,
            reason=f"{len(documents)} documents are too few to bound anything",
            settle=_MORE_DOCUMENTS,
        )
    bounds = nll_increase_bounds(documents, CONFIDENCE)
    reason, settle = f"{len(documents)} documents of both, {tokens:,} tokens", None
    change = change_between(bounds.lower, bounds.upper, margin)
    if not trial.exact_arithmetic and not trial.evidence.at_least(Evidence.TARGET):
        change = Change.UNDECIDED
        reason += "; this machine's int8 arithmetic is not the target's"
        settle = "run it on the target"
    elif change is Change.UNDECIDED:
        settle = _MORE_DOCUMENTS
    return _scored(
        NLL,
        change,
        bounds,
        trial,
        values=(
            sum(one.reference_nll for one in documents) / tokens,
            sum(one.candidate_nll for one in documents) / tokens,
        ),
        told=(reason, settle, margin),
    )


def agreement_difference(trial: ScoreTrial) -> Difference | None:
    """The share of positions at which both would choose the same token; None of too few prompts.

    The positions are those of the reference's answers, each given the text before it.
    """
    answers = tuple(one for one in trial.answers if one.tokens)
    if len(answers) < LEAST_UNITS:
        return None
    bounds = token_agreement_bounds(answers, CONFIDENCE)
    apart = LossBounds(
        estimate=1.0 - bounds.estimate, lower=1.0 - bounds.upper, upper=1.0 - bounds.lower
    )
    tokens = sum(one.tokens for one in answers)
    return _scored(
        AGREEMENT,
        Change.SAME if bounds.estimate == 1.0 else Change.CHANGED,
        apart,
        trial,
        values=(1.0, bounds.estimate),
        told=(f"{tokens:,} tokens of {len(answers)} answers", None, None),
    )


def same_scores(trial: ScoreTrial, margin: float) -> Difference:
    """Where both are the same files nothing is left to chance; `trial` is of one with itself."""
    tokens = sum(one.tokens for one in trial.documents)
    value = sum(one.candidate_nll for one in trial.documents) / tokens if tokens else None
    return Difference(
        aspect=NLL,
        outcome=Change.SAME,
        old=value,
        new=value,
        change=0.0,
        lower=0.0,
        upper=0.0,
        limit=margin,
        samples=len(trial.documents),
        evidence=Evidence.EXACT,
        reason="the same model, so the same likelihoods",
    )


def language_refusals(scores: ScoreTrial, latency: Trial) -> tuple[str, ...]:
    """Faults of the new one as a whole."""
    found = [] if latency.failure is None else [latency.failure]
    if scores.non_finite:
        total = len(scores.documents) + scores.non_finite
        found.append(
            f"The new one's likelihoods of {scores.non_finite} of {total} documents are not "
            "finite numbers."
        )
    return tuple(found)


def _scored(
    aspect: str,
    outcome: Change,
    bounds: LossBounds,
    trial: ScoreTrial,
    *,
    values: tuple[float, float],
    told: tuple[str, str | None, float | None],
) -> Difference:
    reason, settle, limit = told
    return Difference(
        aspect=aspect,
        outcome=outcome,
        old=values[0],
        new=values[1],
        change=bounds.estimate,
        lower=bounds.lower,
        upper=bounds.upper,
        limit=limit,
        confidence=CONFIDENCE,
        samples=len(trial.documents if aspect == NLL else trial.answers),
        evidence=trial.evidence,
        reason=reason,
        settle=settle,
    )
