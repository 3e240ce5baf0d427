"""A trial as a few figures with their bounds, for a report; the gate judges the trial itself.

In: a trial of raw samples, or a paired accuracy trial. Out: the summary records of core/result.py.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from deployopt.core.evidence import Evidence
from deployopt.core.measurement import AccuracyTrial, Round, Trial
from deployopt.core.paired import agreement_bounds, loss_bounds
from deployopt.core.quantiles import quantile_bounds
from deployopt.core.result import AccuracySummary, Figure, LatencySummary, RoundSummary

_CONFIDENCE: Final = 0.95


def latency_summary(
    trial: Trial,
    quantile: float,
    *,
    orders: Sequence[int] | None = None,
    ratio: Figure | None = None,
) -> LatencySummary | None:
    """Counted rounds pooled, with order-statistic bounds; None when no round counts.

    `orders[k]` is the place in time of round k among all rounds of the build, so that interleaved
    arms can be drawn together; by default the round's own place.
    """
    counted = trial.counted
    if not counted:
        return None
    pooled = [s for r in counted for s in r.samples_s]
    places = orders if orders is not None else range(len(trial.rounds))
    return LatencySummary(
        quantile=quantile,
        median=_quantile_figure(pooled, 0.5, trial.evidence),
        tail=_quantile_figure(pooled, quantile, trial.evidence),
        rounds=tuple(
            _round(r, place, quantile) for r, place in zip(trial.rounds, places, strict=True)
        ),
        spread_s=tuple(float(x) for x in np.quantile(pooled, np.linspace(0, 1, 101))),
        ratio=ratio,
        load_s=float(np.median([r.load_s for r in counted])),
        first_s=float(np.median([r.first_s for r in counted])),
        threads=trial.threads,
        batch=trial.batch,
    )


def accuracy_summary(trial: AccuracyTrial) -> AccuracySummary:
    """The loss against the reference, or the disagreement with it where nothing has a label."""
    bounds = (
        loss_bounds(trial.lost, trial.gained, trial.examples, _CONFIDENCE)
        if trial.labelled
        else agreement_bounds(trial.lost, trial.examples, _CONFIDENCE)
    )
    loss = Figure(
        value=bounds.estimate,
        lower=bounds.lower,
        upper=bounds.upper,
        confidence=_CONFIDENCE,
        samples=trial.examples,
        evidence=trial.evidence,
    )
    return AccuracySummary(trial=trial, loss=loss)


def memory_figure(trial: Trial) -> Figure | None:
    """The largest peak of any counted round's process, in bytes; None when no round counts."""
    peaks = [r.peak_rss_bytes for r in trial.counted]
    if not peaks:
        return None
    return Figure(value=float(max(peaks)), samples=len(peaks), evidence=trial.evidence)


def size_figure(size_bytes: int) -> Figure:
    """A size is a property of the files."""
    return Figure(value=float(size_bytes), evidence=Evidence.EXACT)


def _quantile_figure(pooled: Sequence[float], quantile: float, evidence: Evidence) -> Figure:
    bounds = quantile_bounds(pooled, quantile, _CONFIDENCE)
    return Figure(
        value=bounds.estimate,
        lower=bounds.lower,
        upper=bounds.upper,
        confidence=_CONFIDENCE,
        samples=len(pooled),
        evidence=evidence,
    )


def _round(item: Round, order: int, quantile: float) -> RoundSummary:
    return RoundSummary(
        order=order,
        requests=len(item.samples_s),
        median_s=float(np.quantile(item.samples_s, 0.5)) if item.samples_s else 0.0,
        tail_s=float(np.quantile(item.samples_s, quantile, method="inverted_cdf"))
        if item.samples_s
        else 0.0,
        void=item.void,
    )
