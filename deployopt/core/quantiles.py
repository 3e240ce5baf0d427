"""A latency budget at a quantile, judged without assuming a distribution.

In: how many requests took longer than the budget, or the samples themselves. Out: a standing, or
one-sided order-statistic bounds. Refuses (ValueError) impossible counts and quantiles.

Two rules must agree. Over all requests together, the binomial bound lies wholly on one side of the
budget. And because requests inside one process are not independent, every round's own sample
quantile lies on that side too, in at least ``least_rounds`` rounds. The second rule is the sign
test at the level of rounds: were a typical round's quantile at the budget, five rounds would all
fall on one side with probability 2^-5 = 3.1 %, which is why five is the least number at 95 %. A
bound within every single round is not asked for: it would multiply the requests by the rounds
without adding protection against the thing that varies, the rounds. What is judged is thus the
quantile of a typical round, the median over rounds.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.distributions import binomial_at_least, binomial_at_most
from deployopt.core.standing import Standing

_MOST_REQUESTS: Final = 10_000_000
_ROUNDING: Final = 1e-9


class QuantileBounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sample quantile with one-sided bounds; None where the sample is too small to say."""

    estimate: float | None
    lower: float | None
    upper: float | None


class RoundsJudgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A budget judged over rounds: the verdict, and the two rules it rests on."""

    standing: Standing
    pooled: Standing
    rounds: int
    rounds_inside: int


def least_requests(q: float, confidence: float = 0.95) -> int:
    """Return the fewest requests that can settle quantile q when none is over budget."""
    _require_quantile(q, confidence)
    alpha = 1.0 - confidence
    n = max(1, math.ceil(math.log(alpha) / math.log(q) - _ROUNDING))
    while binomial_at_most(0, n, 1.0 - q) > alpha:
        n += 1
    return n


def least_rounds(confidence: float = 0.95) -> int:
    """Return the fewest rounds whose unanimity is significant by the sign test."""
    return max(1, math.ceil(-math.log2(1.0 - confidence) - _ROUNDING))


def judge_quantile(over: int, n: int, q: float, confidence: float = 0.95) -> Standing:
    """Judge "quantile q is at most the budget" from n independent requests, `over` of them over.

    Inside when P(X <= over) <= alpha for X ~ Binomial(n, 1 - q), outside when P(X >= over) <=
    alpha. Fewer requests than `least_requests` settle nothing, whatever they show.
    """
    _require_quantile(q, confidence)
    if not 0 <= over <= n:
        raise ValueError(f"{over} requests over budget of {n}")
    if n < least_requests(q, confidence):
        return Standing.UNSETTLED
    alpha = 1.0 - confidence
    if binomial_at_most(over, n, 1.0 - q) <= alpha:
        return Standing.INSIDE
    if binomial_at_least(over, n, 1.0 - q) <= alpha:
        return Standing.OUTSIDE
    return Standing.UNSETTLED


def judge_rounds(
    over: Sequence[int], requests: Sequence[int], q: float, confidence: float = 0.95
) -> RoundsJudgement:
    """Judge a budget over rounds: the pooled bound, confirmed by every round's own quantile.

    `over[k]` of `requests[k]` requests of round k took longer than the budget.
    """
    if any(n < 1 for n in requests):
        raise ValueError("a round without requests cannot be judged")
    pairs = list(zip(over, requests, strict=True))
    inside = sum(t <= n - _rank(n, q) for t, n in pairs)
    pooled = judge_quantile(sum(over), sum(requests), q, confidence)
    confirming = {Standing.INSIDE: inside, Standing.OUTSIDE: len(pairs) - inside}
    enough = len(pairs) >= least_rounds(confidence)
    unanimous = confirming.get(pooled) == len(pairs)
    return RoundsJudgement(
        standing=pooled if enough and unanimous else Standing.UNSETTLED,
        pooled=pooled,
        rounds=len(pairs),
        rounds_inside=inside,
    )


def quantile_bounds(samples: npt.ArrayLike, q: float, confidence: float = 0.95) -> QuantileBounds:
    """Return quantile q of the samples with one-sided bounds, each an order statistic.

    The bounds agree with `judge_quantile`: inside exactly when `upper` is at most the budget. With
    fewer samples than `least_requests` there is no estimate and no bound.
    """
    ordered: npt.NDArray[np.float64] = np.sort(np.asarray(samples, dtype=np.float64), axis=None)
    n = ordered.size
    if not bool(np.isfinite(ordered).all()):
        raise ValueError("latency samples must be finite")
    if n < least_requests(q, confidence):
        return QuantileBounds(estimate=None, lower=None, upper=None)
    alpha = 1.0 - confidence
    tolerated = _first_count(n, lambda t: binomial_at_most(t, n, 1.0 - q) > alpha) - 1
    damning = _first_count(n, lambda t: binomial_at_least(t, n, 1.0 - q) <= alpha)
    return QuantileBounds(
        estimate=float(ordered[_rank(n, q) - 1]),
        lower=float(ordered[n - damning]) if damning <= n else None,
        upper=float(ordered[n - tolerated - 1]),
    )


def requests_needed(over: int, n: int, q: float, confidence: float = 0.95) -> int | None:
    """Estimate how many further requests would settle the budget, should the rate over it hold.

    None when the rate seen is the budget's own, or more than ten million requests would be needed.
    """
    if judge_quantile(over, n, q, confidence) is not Standing.UNSETTLED:
        return 0
    if n == 0:
        return least_requests(q, confidence)
    rate = over / n

    def settled(total: int) -> bool:
        expected = rate * total
        count = math.ceil(expected) if rate < 1.0 - q else math.floor(expected)
        return judge_quantile(count, total, q, confidence) is not Standing.UNSETTLED

    high = 2 * max(n, least_requests(q, confidence))
    while not settled(high):
        high *= 2
        if high > _MOST_REQUESTS:
            return None
    low = n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if settled(middle) else (middle, high)
    return high - n


def _rank(n: int, q: float) -> int:
    """Return the rank, from 1, of the sample quantile among n ordered samples."""
    return max(1, math.ceil(q * n - _ROUNDING))


def _first_count(n: int, holds: Callable[[int], bool]) -> int:
    """Return the least count in 0..n from which a monotone condition holds, else n + 1."""
    low, high = 0, n + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _require_quantile(q: float, confidence: float) -> None:
    if not (0.0 < q < 1.0 and 0.0 < confidence < 1.0):
        raise ValueError(
            f"quantile and confidence must lie between 0 and 1, got {q} and {confidence}"
        )
