"""What a shape promises: the chance that its loss is certified, and the time that is then saved.

In: losses on the search split with their counts, each shape's time, the budget. Out: numbers to
rank by. They decide only what is tried next; the gate decides what is accepted.

A search split of some hundred examples says little of one shape, so all shapes are seen together:
their loss is taken to grow with the square of the logarithm of the speed-up (`Curve`), and what is
believed of one is that curve and its own result, each weighted by its precision.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Final

import msgspec

from deployopt.core.distributions import normal_cdf, normal_quantile
from deployopt.core.paired import LossBounds

CONFIDENCE: Final = 0.95
DISCORDANCE: Final = 0.06
"""Share of examples on which a student and its teacher differ in being right; until it is seen."""
IMPROVEMENT: Final = (0.015, 0.005, 0.0)
"""How much of the loss further rungs usually take back, by rung; until it is seen."""
SCALE: Final = 0.015
"""The loss of a well taught shape that is e times as fast; until it is seen."""
_SCALE_DOUBT: Final = 0.006
"""Standard deviation of that guess."""
_DOUBT: Final = 0.005
"""And of a shape's loss about its curve, and of what further rungs take back."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One shape's result at a rung: its loss on `examples`, `discordant` of them one way only."""

    rung: int
    loss: LossBounds
    examples: int
    discordant: int

    @property
    def discordance(self) -> float:
        """As a share, never zero."""
        return max(self.discordant, 1) / self.examples


class Belief(msgspec.Struct, frozen=True, kw_only=True):
    """What a shape is thought to lose when it was taught to the end."""

    loss: float
    variance: float
    discordance: float = DISCORDANCE


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Loss as `scale` times the squared logarithm of the speed-up."""

    scale: float = SCALE
    variance: float = _SCALE_DOUBT**2
    """Of the scale."""

    def at(self, gain: float) -> Belief:
        """Of a shape that nothing was seen of; `gain` is its speed-up's logarithm."""
        return Belief(loss=self.scale * gain**2, variance=self.variance * gain**4 + _DOUBT**2)


def fitted(points: Iterable[tuple[float, Seen]], improvement: Sequence[float]) -> Curve:
    """The curve after these results, each with its shape's gain: Bayesian least squares."""
    precision = 1 / _SCALE_DOUBT**2
    weighted = SCALE * precision
    for gain, seen in points:
        final = _final(seen, improvement)
        precision += gain**4 / (final.variance + _DOUBT**2)
        weighted += gain**2 * final.loss / (final.variance + _DOUBT**2)
    return Curve(scale=max(0.0, weighted / precision), variance=1 / precision)


def believed(curve: Curve, gain: float, seen: Seen | None, improvement: Sequence[float]) -> Belief:
    """The curve and the shape's own result together."""
    before = curve.at(gain)
    if seen is None:
        return before
    own = _final(seen, improvement)
    share = before.variance / (before.variance + own.variance)
    return Belief(
        loss=before.loss + share * (own.loss - before.loss),
        variance=share * own.variance,
        discordance=own.discordance,
    )


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


def chance(belief: Belief, limit: float, gate_examples: int, untaught: float = 0.0) -> float:
    """That the shape is certified at the gate, `untaught` of its loss not yet taken back."""
    error = belief.discordance / max(1, gate_examples)
    allowed = allowed_loss(limit, gate_examples, belief.discordance)
    return normal_cdf((allowed - belief.loss - untaught) / math.sqrt(belief.variance + error))


def worth(shapes: Sequence[tuple[float, float]]) -> float:
    """The expected gain of those that are asked at the gate; `shapes` are (chance, gain).

    They are asked from the slowest to the fastest, and the first that fails ends it.
    """
    expected, reached, before = 0.0, 1.0, 0.0
    for likely, gain in sorted(shapes, key=lambda one: one[1]):
        reached *= likely
        expected += reached * (gain - before)
        before = gain
    return expected


def best_sequence(
    shapes: Sequence[tuple[float, float]], most: int, least: float = 0.0
) -> tuple[int, ...]:
    """Which of `shapes`, `most` at most, are worth most when asked at the gate; the best first.

    One more has to be worth `least` more.
    """
    places = sorted(range(len(shapes)), key=lambda at: -shapes[at][0] * shapes[at][1])
    best: tuple[int, ...] = ()
    value = -least
    for count in range(1, most + 1):
        for chosen in combinations(places, count):
            found = worth([shapes[at] for at in chosen])
            if found > value + (least if len(chosen) > len(best) else 0.0):
                best, value = chosen, found
    return best


def _final(seen: Seen, improvement: Sequence[float]) -> Belief:
    """What one result says of the loss in the end."""
    untaught = improvement[min(seen.rung, len(improvement) - 1)]
    return Belief(
        loss=seen.loss.estimate - untaught,
        variance=seen.discordance / seen.examples + (_DOUBT**2 if untaught else 0.0),
        discordance=seen.discordance,
    )
