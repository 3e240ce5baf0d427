"""Raw trials become the figures that people read; the raw samples stay in the bundle."""

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

import msgspec
import numpy as np

from deployopt.core.accuracy_loss import accuracy_bounds
from deployopt.core.answer_rounds import decode_rates, first_tokens
from deployopt.core.budget import Budget
from deployopt.core.evidence import Evidence
from deployopt.core.experience import Measured
from deployopt.core.figure import Figure
from deployopt.core.judging.stored import peaks_of
from deployopt.core.judging.timed import worst_latency
from deployopt.core.latency_check import CONFIDENCE
from deployopt.core.measurement import AccuracyTrial, CardConditions, Trial
from deployopt.core.metric import Kind
from deployopt.core.quantiles import least_rounds, quantile_bounds
from deployopt.core.relative import RelativeJudgement, judge_relative
from deployopt.core.result import AccuracySummary, LatencySummary, LoadFigures, RoundSummary
from deployopt.core.scores import ScoreTrial

TAIL: Final = 0.95
"""The quantile shown where no budget names one."""


def tail_quantile(budgets: Sequence[Budget]) -> float:
    """The highest quantile that a latency budget limits."""
    asked = [b.definition.quantile for b in budgets if b.definition.kind is Kind.LATENCY]
    return max((q for q in asked if q is not None), default=TAIL)


def accuracy_summary(trial: AccuracyTrial) -> AccuracySummary:
    """The paired trial with the loss it shows, as a share of one."""
    bounds = accuracy_bounds(trial, CONFIDENCE)
    return AccuracySummary(
        trial=trial,
        loss=Figure(
            value=bounds.estimate,
            lower=bounds.lower if math.isfinite(bounds.lower) else None,
            upper=bounds.upper if math.isfinite(bounds.upper) else None,
            confidence=CONFIDENCE,
            samples=trial.examples,
            evidence=trial.evidence,
        ),
    )


def log_ratios(trial: Trial, base: Trial) -> list[float]:
    """ln(median of `trial` / median of `base`), one number a round that counts for both."""
    return [
        math.log(median(b.samples_s) / median(a.samples_s))
        for a, b in zip(base.rounds, trial.rounds, strict=False)
        if a.void is None and b.void is None and a.samples_s and b.samples_s
    ]


def compare_trials(trial: Trial, base: Trial) -> RelativeJudgement:
    """Whether `trial` is faster than `base`, by rounds that were run interleaved."""
    return judge_relative(log_ratios(trial, base))


def latency_summary(
    trial: Trial, quantile: float, *, base: Trial | None = None, arm: int = 0, arms: int = 1
) -> LatencySummary | None:
    """Figures over the counted rounds, seconds; None where nothing was timed.

    Where every round is void there are rounds to show and no figure.

    `arm` of `arms` says where the rounds stood among the interleaved ones.
    """
    counted = trial.counted
    samples = np.asarray([s for r in counted for s in r.samples_s])
    if not trial.rounds:
        return None
    return LatencySummary(
        quantile=quantile,
        median=quantile_figure(samples, 0.5, trial.evidence),
        tail=quantile_figure(samples, quantile, trial.evidence),
        rounds=tuple(
            RoundSummary(
                order=arm + arms * index,
                requests=len(r.samples_s),
                median_s=float(np.median(r.samples_s)) if r.samples_s else 0.0,
                tail_s=float(np.quantile(r.samples_s, quantile)) if r.samples_s else 0.0,
                void=r.void,
            )
            for index, r in enumerate(trial.rounds)
        ),
        spread_s=tuple(float(x) for x in np.quantile(samples, np.linspace(0, 1, 101)))
        if samples.size
        else (),
        ratio=None if base is None else ratio_figure(log_ratios(trial, base), trial.evidence),
        load_s=median(r.load_s for r in trial.rounds),
        first_s=median(r.first_s for r in trial.rounds),
        threads=trial.threads,
        batch=trial.batch,
        arrivals_per_s=trial.arrivals_per_s,
        throughput=over_rounds(trial.rates, trial.evidence),
        energy=over_rounds(trial.joules, trial.evidence),
        card=card_over_rounds(trial),
    )


def load_figures(
    trial: Trial, budgets: Sequence[Budget], quantile: float, copies: int = 1
) -> LoadFigures:
    """What a trial under another load than the verdict's shows, held against latency budgets."""
    worst = worst_latency(budgets, trial)
    return LoadFigures(
        batch=trial.batch,
        copies=copies,
        latency=latency_summary(trial, quantile),
        memory=memory_figure(trial) if trial.rounds else None,
        outcome=None if worst is None else worst.outcome,
        reason=trial.failure or ("" if worst is None else worst.reason),
    )


def card_over_rounds(trial: Trial) -> CardConditions | None:
    """The slowest, hottest and busiest that the card was in any round; None without one."""
    kinds = [one.conditions.card for one in trial.rounds]
    seen = [one for one in kinds if one is not msgspec.UNSET]
    if not seen:
        return None
    told = [one.throttled for one in seen if one.throttled is not None]
    return CardConditions(
        clock_mhz=min((c.clock_mhz for c in seen if c.clock_mhz is not None), default=None),
        temperature_c=_most(one.temperature_c for one in seen),
        power_w=_most(one.power_w for one in seen),
        reasons=tuple(sorted({reason for one in seen for reason in one.reasons})),
        throttled=any(told) if told else None,
        others=max((c.others for c in seen if c.others is not None), default=None),
        others_share=_most(one.others_share for one in seen),
        memory_bytes=max(
            (c.memory_bytes for c in seen if c.memory_bytes is not None), default=None
        ),
        memory_of="card" if any(one.memory_of == "card" for one in seen) else "process",
        copied_share=_most(one.copied_share for one in seen),
        captured_share=min(
            (c.captured_share for c in seen if c.captured_share is not None), default=None
        ),
        uncaptured=next((one.uncaptured for one in seen if one.uncaptured), ""),
    )


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def memory_figure(trial: Trial, scores: ScoreTrial | None = None) -> Figure | None:
    """Peak bytes of the fresh processes, or on their card: the middle one, the least and the most.

    With five or more the extremes bound the median at 95 % (the sign test: 2^-5 = 3.1 %). Of a
    language model with a full context, which `scores` has, and None without it.
    """
    peaks = peaks_of(trial, scores)
    return None if peaks is None else over_rounds([float(p) for p in peaks], trial.evidence)


def over_rounds(values: Sequence[float], evidence: Evidence) -> Figure | None:
    """One value a round: the middle one, the least and the most; None of none."""
    ordered = sorted(values)
    if not ordered:
        return None
    return Figure(
        value=ordered[len(ordered) // 2],
        lower=ordered[0],
        upper=ordered[-1],
        confidence=CONFIDENCE if len(ordered) >= least_rounds(CONFIDENCE) else None,
        samples=len(ordered),
        evidence=evidence,
    )


def measured_of(
    trial: Trial,
    budgets: Sequence[Budget],
    size_bytes: float | None = None,
    scores: ScoreTrial | None = None,
) -> dict[str, Measured]:
    """What each budget's metric came to, times and rates only where enough rounds count.

    What only a paired test says, accuracy and scores, no device changes: it is not among them.
    """
    rounds: dict[Kind, Sequence[Sequence[float] | float]] = {
        Kind.LATENCY: [one.samples_s for one in trial.counted],
        Kind.FIRST_TOKEN: first_tokens(trial),
        Kind.THROUGHPUT: trial.rates,
        Kind.DECODE: decode_rates(trial),
        Kind.ENERGY: trial.joules,
    }
    memory = memory_figure(trial, scores)
    found: dict[str, Measured] = {}
    for budget in budgets:
        kind = budget.definition.kind
        if kind is Kind.MEMORY and memory is not None and memory.value is not None:
            found[budget.metric] = Measured(value=memory.value, samples=memory.samples)
        elif kind is Kind.SIZE and size_bytes is not None:
            found[budget.metric] = Measured(value=size_bytes, samples=1)
        elif len(rounds.get(kind, ())) >= least_rounds():
            samples = np.concatenate([np.atleast_1d(one) for one in rounds[kind]])
            if samples.size:
                value = float(np.quantile(samples, budget.definition.quantile or 0.5))
                found[budget.metric] = Measured(value=value, samples=int(samples.size))
    return found


def size_figure(size_bytes: int) -> Figure:
    """Bytes of the deployed files, the same anywhere."""
    value = float(size_bytes)
    return Figure(value=value, lower=value, upper=value, evidence=Evidence.EXACT)


def quantile_figure(
    samples: "np.ndarray[tuple[int], np.dtype[np.float64]]", quantile: float, evidence: Evidence
) -> Figure:
    """A quantile of the samples with its one-sided bounds."""
    bounds = quantile_bounds(samples, quantile, CONFIDENCE)
    return Figure(
        value=bounds.estimate,
        lower=bounds.lower,
        upper=bounds.upper,
        confidence=CONFIDENCE,
        samples=int(samples.size),
        evidence=evidence,
    )


def ratio_figure(logs: Sequence[float], evidence: Evidence) -> Figure | None:
    """A ratio from one logarithm a pair of interleaved rounds; None of too few."""
    judged = judge_relative(logs)
    if judged.ratio is None:
        return None
    return Figure(
        value=judged.ratio,
        lower=judged.low,
        upper=judged.high,
        confidence=CONFIDENCE,
        samples=judged.rounds,
        evidence=evidence,
    )
