"""What a shape promises: the chance that its loss can be certified, times the speed-up's logarithm.

In: a loss on the search split with its counts, the rung it was seen at, the budget. Out: numbers to
rank by. They decide only what is tried next; the gate decides what is accepted.
"""

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from deployopt.core.distributions import normal_cdf, normal_quantile
from deployopt.core.paired import LossBounds

CONFIDENCE: Final = 0.95
DISCORDANCE: Final = 0.06
"""Share of examples on which a student and its teacher differ in being right; until it is seen."""
IMPROVEMENT: Final = (0.015, 0.005, 0.0)
"""How much of the loss further rungs usually take back, by rung; until it is seen."""
_DOUBT: Final = 0.005
"""Standard deviation of that guess."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One shape's result at a rung: its loss on `examples`, `discordant` of them one way only."""

    rung: int
    loss: LossBounds
    examples: int
    discordant: int


def allowed_loss(limit: float, examples: int, discordance: float = DISCORDANCE) -> float:
    """The greatest observed loss on the gate's examples whose bound stays within `limit`.

    Normal approximation: the loss's standard error is sqrt(discordance / examples).
    """
    return limit - normal_quantile(CONFIDENCE) * math.sqrt(discordance / max(1, examples))


def improvements(seen: Sequence[Sequence[Seen]]) -> tuple[float, ...]:
    """By rung, the mean loss that going on to the last rung took back, or the usual one.

    `seen` holds each shape's results, rung by rung.
    """
    found = []
    for rung, usual in enumerate(IMPROVEMENT):
        gains = [
            (next(s for s in one if s.rung == rung).loss.estimate - one[-1].loss.estimate)
            for one in seen
            if len(one) > 1 and one[-1].rung > rung and any(s.rung == rung for s in one)
        ]
        # The usual one counts as one more observation: two trainings are few.
        found.append((usual + sum(gains)) / (1 + len(gains)))
    return tuple(found)


def chance(seen: Seen, limit: float, gate_examples: int, improvement: float) -> float:
    """That the shape, taught to the end, would be certified at the gate."""
    discordance = max(seen.discordant, 1) / seen.examples
    spread = math.sqrt(discordance / seen.examples + _DOUBT**2)
    expected = seen.loss.estimate - improvement
    allowed = allowed_loss(limit, gate_examples, discordance)
    return normal_cdf((allowed - expected) / spread)


def promise(chance_: float, ratio: float, best_ratio: float) -> float:
    """The expected gain in the logarithm of time; zero or less for what is no faster."""
    return chance_ * math.log(best_ratio / ratio) if ratio > 0 else 0.0
