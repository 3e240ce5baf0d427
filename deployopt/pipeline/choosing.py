"""Which candidates go to the gate, in which order: int8 only if it gains, the fastest first.

In: candidates with their trials on the search split. Out: finalists, and a reason for each of the
others. The gate split is not touched here, so it judges on examples that had no say.
"""

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import Final

from deployopt.core.accuracy_loss import accuracy_bounds
from deployopt.core.answer_rounds import decode_rates, first_tokens
from deployopt.core.budget import Budget
from deployopt.core.evidence import Evidence
from deployopt.core.judging.stored import memory_untold, peaks_of
from deployopt.core.measurement import Trial
from deployopt.core.metric import METRICS, Kind
from deployopt.core.nll import nll_increase_bounds
from deployopt.core.ratio import LEAST_UNITS
from deployopt.core.relative import LOOKS, RelativeJudgement
from deployopt.core.standing import Standing
from deployopt.core.summaries import compare_trials
from deployopt.core.token_agreement import token_agreement_bounds
from deployopt.pipeline.candidates import Candidate, Chosen

_AS_FAST: Final = 1.05
"""Predictions that are nearer than this say nothing of which is faster."""
_REACH: Final = 1.645
"""Standard deviations to a bound at 95 %, one-sided."""
_NO_FASTER: Final = "predicted to be as fast as the float one, and another is faster"
_SPEEDS: Final = frozenset({Kind.LATENCY, Kind.DECODE})


def choose(candidates: Sequence[Candidate], budgets: Sequence[Budget]) -> Chosen:
    """The finalists, the most wanted first.

    Where none is within all budgets, those that miss fewest are judged all the same, so that the
    verdict can say what was missed; where all failed there is none.
    """
    working = [c for c in candidates if c.fault is None and c.untimed is None]
    reasons = {c.recipe.name: f"not timed: {c.untimed}" for c in candidates if c.untimed}
    reasons |= {c.recipe.name: f"failed: {c.fault}" for c in candidates if c.fault is not None}
    if not working:
        return Chosen(finalists=(), reasons=reasons)
    misses = {c.recipe.name: _misses(c, budgets) for c in working}
    least = min(len(m) for m in misses.values())
    best = [c for c in working if len(misses[c.recipe.name]) == least]
    for candidate in working:
        if candidate not in best:
            reasons[candidate.recipe.name] = f"misses {', '.join(misses[candidate.recipe.name])}"
    finalists, words = _by_gain(best, with_float=any(c.is_float for c in candidates))
    return Chosen(finalists=finalists, reasons={**reasons, **words})


def _by_gain(
    best: Sequence[Candidate], *, with_float: bool
) -> tuple[tuple[Candidate, ...], dict[str, str]]:
    """Those that are proved to be faster than the float one, then the float one."""
    base = next((c for c in best if c.is_float), None)
    if base is None:
        ordered, dropped = _worth_asking(sorted(best, key=_median_s))
        alone = "within the budgets" + (", and float is not" if with_float else "")
        return tuple(ordered), {c.recipe.name: alone for c in best} | dropped
    words: dict[str, str] = {}
    gains: list[tuple[float, Candidate]] = []
    for candidate in best:
        if candidate is not base:
            ratio, words[candidate.recipe.name] = _gain(candidate, base)
            if ratio is not None:
                gains.append((ratio, candidate))
    if any(ratio < 1 for ratio, _ in gains):
        # One that is only as fast would be asked at the gate before those that are faster.
        words |= {c.recipe.name: _NO_FASTER for ratio, c in gains if ratio >= 1}
        gains = [gain for gain in gains if gain[0] < 1]
    gains.sort(key=lambda gain: gain[0])
    wanted, dropped = _worth_asking([candidate for _, candidate in gains])
    others = "nothing else is faster and within the budgets"
    if gains:
        others = "something else is " + ("faster" if gains[0][0] < 1 else "as fast and smaller")
    words[base.recipe.name] = others
    return (*wanted, base), words | dropped


def _worth_asking(fastest_first: Sequence[Candidate]) -> tuple[list[Candidate], dict[str, str]]:
    """Without those that would keep a better one from being asked; words for these.

    The gate asks the most wanted one last and stops at the first that loses too much: slower is
    taken for safer. That does not hold of one that is shown to be slower than another and changed
    more answers, which nobody wants; nor among forms of which nobody can say which is faster, where
    it is the one that lost more. What was predicted goes by size there.
    """
    waiting, kept, words = list(fastest_first), list[Candidate](), dict[str, str]()
    while waiting:
        level = [one for one in waiting if not shown_faster(waiting[0], one)]
        waiting = [one for one in waiting if one not in level]
        surer = min(kept, key=_risk, default=None)
        if surer is not None:
            risky = [one for one in level if _risk(one) > _risk(surer)]
            level = [one for one in level if one not in risky]
            said = f"no faster than {surer.recipe.name}, which is surer to pass"
            words |= {one.recipe.name: said for one in risky}
        if level and level[0].is_apart:
            level.sort(key=lambda one: one.size_bytes or math.inf)
        least: Candidate | None = None
        for one in level:
            if least is not None and _loss(one) > _loss(least):
                words[one.recipe.name] = f"as fast as {least.recipe.name}, which lost less"
                continue
            kept.append(one)
            least = one
    return kept, words


def shown_faster(one: Candidate, other: Candidate) -> bool:
    """Whether it may be called faster: by rounds that were run interleaved, or well predicted."""
    if one is other:
        return False
    if one.is_apart and other.is_apart:
        return _AS_FAST * _median_s(one) < _median_s(other)
    if one.card is not None and other.card is not None:
        seconds = one.card.answer_s, other.card.answer_s
        return None in seconds or _AS_FAST * (seconds[0] or 0.0) < (seconds[1] or 0.0)
    if one.trial is None or other.trial is None:
        return True
    return compare_trials(one.trial, other.trial).standing is Standing.INSIDE


def _risk(candidate: Candidate) -> float:
    """How much it may lose at the gate, as a share; for comparing forms of one model.

    What was gained counts for nothing: a form knows no more than its model, and answers that change
    for the better here may for the worse there. Of single answers it is the share lost and Wald's
    reach at 95 % by all that changed; of a metric over all examples its bound.
    """
    trial = candidate.accuracy
    if candidate.scores is not None or trial is None:
        return _loss(candidate)
    if trial.over_all is not None:
        bounds = accuracy_bounds(trial)
        return bounds.upper if math.isfinite(bounds.upper) else bounds.estimate
    net = max(0, trial.lost - trial.gained)
    return (net + _REACH * math.sqrt(trial.lost + trial.gained)) / trial.examples


def _loss(candidate: Candidate) -> float:
    """What it lost on the search split, as it is judged; zero where that is not known."""
    if candidate.scores is not None:
        return nll_increase_bounds(candidate.scores.documents).estimate
    if candidate.accuracy is not None:
        return accuracy_bounds(candidate.accuracy).estimate
    return 0.0


def _gain(candidate: Candidate, base: Candidate) -> tuple[float | None, str]:
    """The ratio to the float one when it is proved to be below 1, and words for it."""
    if candidate.is_apart and base.is_apart:
        return _predicted_gain(candidate, base)
    if candidate.card is not None and base.card is not None:
        return _predicted_answers(candidate, base)
    if candidate.trial is None or base.trial is None:
        return None, "not timed beside the float one, so no gain is shown"
    judged = compare_trials(candidate.trial, base.trial)
    if judged.ratio is None or judged.standing is not Standing.INSIDE:
        return None, _no_gain(judged)
    slower = _predicted_slower(candidate, base)
    if slower is not None:
        return None, slower
    where = "on the target" if candidate.trial.evidence is Evidence.TARGET else "here"
    return judged.ratio, f"{1 / judged.ratio:.2f} x as fast as the float one, measured {where}"


def _no_gain(judged: RelativeJudgement) -> str:
    if judged.rounds < LOOKS[0].rounds:
        return (
            f"not shown to be faster than the float one: {judged.rounds} rounds count of the "
            f"{LOOKS[0].rounds} that this takes, so it does not ship"
        )
    shown = "" if judged.ratio is None else f" (ratio {judged.ratio:.2f})"
    return f"no gain over the float one is shown{shown}, so it does not ship"


def _predicted_gain(candidate: Candidate, base: Candidate) -> tuple[float | None, str]:
    """What is for a card and not run here: by what the target's arithmetic promises."""
    for metric, estimate in candidate.predictions.items():
        other = base.predictions.get(metric)
        known = METRICS.get(metric)
        if other is None or known is None or known.kind is not Kind.LATENCY:
            continue
        ratio = estimate.value / other.value
        if ratio < 1:
            return ratio, f"predicted to be {1 / ratio:.2f} x as fast as the float one; nothing ran"
        if ratio <= _AS_FAST and _size_ratio(candidate, base) < 1:
            return ratio, "predicted to be as fast as the float one, and it is smaller; nothing ran"
        return None, "predicted to be slower than the float one, so it does not ship"
    smaller = _size_ratio(candidate, base)
    if smaller < 1:
        return smaller, "smaller than the float one; of its speed nothing is predicted"
    return None, "neither predicted to be faster than the float one nor smaller"


def _predicted_answers(candidate: Candidate, base: Candidate) -> tuple[float | None, str]:
    """A language model for a card: by what its whole answers are predicted to take."""
    card, other = candidate.card, base.card
    if card is None or other is None or card.answer_s is None or other.answer_s is None:
        return None, "nothing is predicted of its speed, so no gain is shown"
    ratio = card.answer_s / other.answer_s
    if ratio < 1:
        return ratio, f"answers predicted {1 / ratio:.2f} x as fast as float16's; nothing ran"
    if ratio <= _AS_FAST and _size_ratio(candidate, base) < 1:
        return ratio, "answers predicted as fast as float16's, and it is smaller; nothing ran"
    return None, "its answers are predicted to be slower than float16's, so it does not ship"


def _size_ratio(candidate: Candidate, base: Candidate) -> float:
    if not candidate.size_bytes or not base.size_bytes:
        return 1.0
    return candidate.size_bytes / base.size_bytes


def _predicted_slower(candidate: Candidate, base: Candidate) -> str | None:
    """A gain on this machine is none on the target if the target's arithmetic says otherwise."""
    if candidate.trial is None or candidate.trial.evidence is Evidence.TARGET:
        return None
    for metric, estimate in candidate.predictions.items():
        other = base.predictions.get(metric)
        if other is not None and _slower(metric, estimate.value, other.value):
            return "faster here, but predicted to be slower on the target, so it does not ship"
    return None


def _slower(metric: str, value: float, other: float) -> bool:
    """Whether the metric says how fast it is, and the value is the worse one."""
    known = METRICS.get(metric)
    if known is None or known.kind not in _SPEEDS:
        return False
    return value < other if known.higher else value > other


def _misses(candidate: Candidate, budgets: Sequence[Budget]) -> list[str]:
    return [b.metric for b in budgets if _MISSED[b.definition.kind](candidate, b)]


def _misses_accuracy(candidate: Candidate, budget: Budget) -> bool:
    """For certain: the search split is small, and who may pass is for the gate to say."""
    trial = candidate.accuracy
    if trial is None:
        return True
    return accuracy_bounds(trial).lower > budget.limit


def _misses_score(candidate: Candidate, budget: Budget) -> bool:
    """For certain, as for accuracy."""
    trial = candidate.scores
    if trial is None:
        return True
    if len(trial.documents) < LEAST_UNITS:
        return False
    return nll_increase_bounds(trial.documents).lower > budget.limit


def _misses_agreement(candidate: Candidate, budget: Budget) -> bool:
    """For certain, as for accuracy."""
    trial = candidate.scores
    if trial is None:
        return True
    if sum(one.tokens > 0 for one in trial.answers) < LEAST_UNITS:
        return False
    return token_agreement_bounds(trial.answers).upper < budget.limit


def _misses_size(candidate: Candidate, budget: Budget) -> bool:
    return candidate.size_bytes is None or candidate.size_bytes > budget.limit


def _misses_latency(candidate: Candidate, budget: Budget) -> bool:
    trial = candidate.trial
    if trial is None or trial.evidence is not Evidence.TARGET:
        return _misses_prediction(candidate, budget)
    samples = sorted(s for r in trial.counted for s in r.samples_s)
    if not samples:
        return False  # every round is void: nothing is known, which the gate calls undecided
    return _over(samples, budget)


def _misses_first_token(candidate: Candidate, budget: Budget) -> bool:
    trial = candidate.trial
    if trial is None or trial.evidence is not Evidence.TARGET:
        return _misses_prediction(candidate, budget)
    samples = sorted(s for one in first_tokens(trial) for s in one)
    return bool(samples) and _over(samples, budget)


def _over(samples: Sequence[float], budget: Budget) -> bool:
    """Whether the quantile that the budget limits is over it; the samples are in order."""
    rank = min(len(samples) - 1, int((budget.definition.quantile or 0.5) * len(samples)))
    return samples[rank] > budget.limit


def _misses_memory(candidate: Candidate, budget: Budget) -> bool:
    trial = candidate.trial
    if trial is None or trial.evidence is not Evidence.TARGET:
        return _misses_prediction(candidate, budget)
    if memory_untold(trial):
        return _misses_prediction(candidate, budget)
    peaks = peaks_of(trial, candidate.scores)
    return peaks is None or any(peak > budget.limit for peak in peaks)


def _misses_throughput(candidate: Candidate, budget: Budget) -> bool:
    return _misses_median(candidate, budget, lambda trial: trial.rates)


def _misses_decode(candidate: Candidate, budget: Budget) -> bool:
    return _misses_median(candidate, budget, decode_rates)


def _misses_energy(candidate: Candidate, budget: Budget) -> bool:
    return _misses_median(candidate, budget, lambda trial: trial.joules)


def _misses_median(
    candidate: Candidate, budget: Budget, values: Callable[[Trial], list[float]]
) -> bool:
    """By the middle round on the target; by the prediction where nothing was measured there."""
    trial = candidate.trial
    if trial is None or trial.evidence is not Evidence.TARGET or not values(trial):
        return _misses_prediction(candidate, budget)
    return not budget.allows(median(values(trial)))


def _misses_prediction(candidate: Candidate, budget: Budget) -> bool:
    estimate = candidate.predictions.get(budget.metric)
    return estimate is not None and not budget.allows(budget.worse(estimate.lower, estimate.upper))


def _median_s(candidate: Candidate) -> float:
    """As measured; of what is for a card and not run here, as predicted."""
    if candidate.is_apart:
        kinds = ((METRICS[name].kind, e.value) for name, e in candidate.predictions.items())
        return min((value for kind, value in kinds if kind is Kind.LATENCY), default=float("inf"))
    if candidate.card is not None:
        return candidate.card.answer_s or float("inf")
    if candidate.trial is None:
        return float("inf")
    samples = sorted(s for r in candidate.trial.counted for s in r.samples_s)
    return samples[len(samples) // 2] if samples else float("inf")


_MISSED: Final[dict[Kind, Callable[[Candidate, Budget], bool]]] = {
    Kind.LATENCY: _misses_latency,
    Kind.ACCURACY: _misses_accuracy,
    Kind.MEMORY: _misses_memory,
    Kind.SIZE: _misses_size,
    Kind.ENERGY: _misses_energy,
    Kind.THROUGHPUT: _misses_throughput,
    Kind.FIRST_TOKEN: _misses_first_token,
    Kind.DECODE: _misses_decode,
    Kind.SCORE: _misses_score,
    Kind.AGREEMENT: _misses_agreement,
}
