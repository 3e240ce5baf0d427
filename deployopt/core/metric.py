"""The metrics that a budget can limit, one entry each: budgets, reports and gate read this."""

import difflib
from enum import StrEnum
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.text import safe_text
from deployopt.core.units import Dimension


class Kind(StrEnum):
    """How a metric is found and judged."""

    LATENCY = "latency"  # a quantile over requests, order-statistic bound
    ACCURACY = "accuracy"  # paired loss against the reference, score bound
    MEMORY = "memory"  # peak resident bytes of a fresh process
    SIZE = "size"  # bytes of the files that are deployed, exact
    ENERGY = "energy"  # joules a request
    THROUGHPUT = "throughput"  # examples a second, bounded from below
    FIRST_TOKEN = "first_token"  # noqa: S105 -- a quantile over answers of the time to it
    DECODE = "decode"  # tokens a second after the first, bounded from below
    SCORE = "score"  # paired increase of the NLL, documents being clusters
    AGREEMENT = "agreement"  # share of the reference's own tokens, bounded from below


class Metric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a budget's key means; better when lower, unless `higher`."""

    name: str
    kind: Kind
    dimension: Dimension
    title: str
    quantile: float | None = None
    higher: bool = False
    """Whether more is better: the budget is then a lower limit."""

    @property
    def sign(self) -> str:
        """Between the metric and its limit, for a person."""
        return "≥" if self.higher else "≤"


def _first_token(name: str, quantile: float) -> Metric:
    return Metric(
        name=name,
        kind=Kind.FIRST_TOKEN,
        dimension=Dimension.TIME,
        title=f"time to first token, {quantile * 100:g}th percentile",
        quantile=quantile,
    )


def _latency(name: str, quantile: float) -> Metric:
    return Metric(
        name=name,
        kind=Kind.LATENCY,
        dimension=Dimension.TIME,
        title=f"latency, {quantile * 100:g}th percentile",
        quantile=quantile,
    )


METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        _latency("latency_p50", 0.50),
        _latency("latency_p90", 0.90),
        _latency("latency_p95", 0.95),
        _latency("latency_p99", 0.99),
        _latency("latency_p999", 0.999),
        Metric(
            name="accuracy_drop",
            kind=Kind.ACCURACY,
            dimension=Dimension.SHARE,
            title="accuracy lost against the reference",
        ),
        Metric(
            name="map_drop",
            kind=Kind.ACCURACY,
            dimension=Dimension.SHARE,
            title="mean average precision lost against the reference, of a detector",
        ),
        Metric(
            name="recall_drop",
            kind=Kind.ACCURACY,
            dimension=Dimension.SHARE,
            title="recall at 1 lost against the reference, of an image-text model",
        ),
        Metric(
            name="memory_peak",
            kind=Kind.MEMORY,
            dimension=Dimension.SIZE,
            title="peak resident memory",
        ),
        Metric(
            name="artifact_size",
            kind=Kind.SIZE,
            dimension=Dimension.SIZE,
            title="size of the deployed model",
        ),
        Metric(
            name="energy",
            kind=Kind.ENERGY,
            dimension=Dimension.ENERGY,
            title="energy a request",
        ),
        Metric(
            name="throughput",
            kind=Kind.THROUGHPUT,
            dimension=Dimension.RATE,
            title="examples a second, one batch after another",
            higher=True,
        ),
        _first_token("ttft_p50", 0.50),
        _first_token("ttft_p95", 0.95),
        Metric(
            name="decode_tps_min",
            kind=Kind.DECODE,
            dimension=Dimension.TOKEN_RATE,
            title="tokens a second after the first",
            higher=True,
        ),
        Metric(
            name="nll_increase",
            kind=Kind.SCORE,
            dimension=Dimension.PERCENT,
            title="increase of the negative log-likelihood against the reference",
        ),
        Metric(
            name="agreement",
            kind=Kind.AGREEMENT,
            dimension=Dimension.PERCENT,
            title="share of the reference's tokens that it would choose too",
            higher=True,
        ),
    )
}


_SHOWN: Final = 80


def find_metric(name: str) -> Metric:
    """The metric of this name.

    Raises:
        UsageError: unknown; names the nearest.
    """
    if name in METRICS:
        return METRICS[name]
    shown = safe_text(name, _SHOWN)
    raise UsageError(f"{shown!r} is not a metric. {nearest(shown, METRICS)}")


def nearest(word: str, known: "dict[str, Metric] | list[str]") -> str:
    """A sentence with the nearest right word, or with all of them."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known: {', '.join(known)}."
