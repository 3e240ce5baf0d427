"""Is B faster than A, or no slower than a margin allows, from interleaved rounds?

In: one number a round, ln(q_B / q_A), the rounds run AB BA AB ... on the same cores. Out: a
standing, the ratio with its interval, and the round at which to look next. Refuses (ValueError)
numbers that are not finite.

The unit of replication is the round; requests inside one are not independent. The data are looked
at after 12, 24 and 48 rounds only, and each look spends its own part of the error: nominal
one-sided levels in the manner of O'Brien and Fleming, in the spending form of Lan and DeMets
(Biometrika 70:659, 1983), 5 % in all. What is settled at one look stays settled; 48 is the end.
"""

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from deployopt.core.distributions import student_t_quantile
from deployopt.core.standing import Standing


class Look(msgspec.Struct, frozen=True):
    """A number of rounds at which the data are looked at, and the one-sided level spent there."""

    rounds: int
    level: float


LOOKS: Final = (Look(12, 0.00011), Look(24, 0.00553), Look(48, 0.0481))


class RelativeJudgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ratio q_B / q_A after the last look taken.

    `low` and `high` are plain one-sided 95 % bounds for people to read; `lower` and `upper` are the
    bounds at the look's own level, which the standing rests on. Before the first look there is no
    bound, and the ratio is that of the rounds so far.
    """

    standing: Standing
    rounds: int
    next_look: int | None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    lower: float | None = None
    upper: float | None = None


def judge_relative(log_ratios: Sequence[float], margin: float = 0.0) -> RelativeJudgement:
    """Judge "q_B is at most (1 + margin) q_A" from ln(q_B / q_A) of each round that is not void.

    With margin 0, inside means that B is faster and outside that it is slower. Rounds beyond a look
    wait for the next one; the first look that settles is final.
    """
    if margin <= -1.0 or not all(math.isfinite(ratio) for ratio in log_ratios):
        raise ValueError("log ratios must be finite and the margin above -1")
    limit = math.log1p(margin)
    judged = _before_looks(log_ratios)
    for index, look in enumerate(LOOKS):
        if len(log_ratios) < look.rounds:
            break
        after = LOOKS[index + 1].rounds if index + 1 < len(LOOKS) else None
        judged = _at_look(log_ratios[: look.rounds], look.level, limit, after)
        if judged.standing is not Standing.UNSETTLED:
            break
    return judged


def _before_looks(log_ratios: Sequence[float]) -> RelativeJudgement:
    return RelativeJudgement(
        standing=Standing.UNSETTLED,
        rounds=len(log_ratios),
        next_look=LOOKS[0].rounds,
        ratio=math.exp(math.fsum(log_ratios) / len(log_ratios)) if log_ratios else None,
    )


def _at_look(
    log_ratios: Sequence[float], level: float, limit: float, after: int | None
) -> RelativeJudgement:
    count = len(log_ratios)
    values = np.asarray(log_ratios, dtype=np.float64)
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / math.sqrt(count)
    plain = student_t_quantile(0.95, count - 1) * error
    spent = student_t_quantile(1.0 - level, count - 1) * error
    standing = Standing.UNSETTLED
    if mean + spent < limit:
        standing = Standing.INSIDE
    elif mean - spent > limit:
        standing = Standing.OUTSIDE
    return RelativeJudgement(
        standing=standing,
        rounds=count,
        next_look=after if standing is Standing.UNSETTLED else None,
        ratio=math.exp(mean),
        low=math.exp(mean - plain),
        high=math.exp(mean + plain),
        lower=math.exp(mean - spent),
        upper=math.exp(mean + spent),
    )
