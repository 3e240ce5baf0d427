"""The order of the models: what fits, what is fast enough, what there is data for, what is good.

In: candidates and what is wanted. Out: those that will do, the best first. Where quality is nearly
the same (`MARGINS`, wider on small devices) the faster model comes first: a distilled sibling that
loses two points beats its teacher on a Raspberry Pi.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final

import msgspec

from deployopt.catalogue.models import Tier
from deployopt.core.standing import Standing
from deployopt.planning.recommending.candidate import RANK, Candidate
from deployopt.planning.recommending.detectors import trainable
from deployopt.planning.recommending.setting import MARGINS, Setting

Place = tuple[int, int, int, int]
TIER_FROM: Final[tuple[tuple[int, Tier], ...]] = (
    (100_000, "large"),
    (1_000, "middle"),
    (0, "light"),
)
"""Labelled examples from which a tier is fine-tuned on a desktop: a rule of thumb."""
RESTRICTED_POINTS: Final = 5.0
"""What a licence that forbids or burdens commercial use costs a model; an alternative it stays."""
_LICENCES: Final[Mapping[bool | None, int]] = {True: 0, False: 1, None: 2}
_TIERS: Final[Mapping[Tier, int]] = {"light": 0, "middle": 1, "large": 2}


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the order depends on besides the candidates.

    `strict`: a limit on time was asked for, and inside it comes before perhaps inside it; False: it
    is the profile's own, and only what is surely late comes later; None: there is no limit.
    `builds`: `build` builds for the target, so what it takes as it comes is preferred.
    """

    examples: int | None
    strict: bool | None
    setting: Setting
    builds: bool
    adapted: bool = False
    """The task is fine-tuned by adapters, which do with few examples at any size."""


def ranked(candidates: Sequence[Candidate], rules: Rules) -> tuple[Candidate, ...]:
    """Those without a refusal, the best first."""
    wanted = wanted_tier(rules)

    def standing(candidate: Candidate) -> Place:
        return (
            _memory_rank(candidate),
            _time_rank(candidate, strict=rules.strict),
            int(too_few(candidate, rules.examples)),
            max(0, _TIERS[candidate.entry.tier] - _TIERS[wanted]),
        )

    able = sorted((c for c in candidates if not c.refusal), key=standing)
    order: list[Candidate] = []
    for _, group in groupby(able, key=standing):
        order.extend(by_quality(tuple(group), MARGINS[rules.setting], builds=rules.builds))
    return tuple(order)


def wanted_tier(rules: Rules) -> Tier:
    """The largest tier that comes without a reason of its own.

    Light on a board; on a desktop by the examples, where the model is fine-tuned whole; any on a
    server.
    """
    if rules.setting is Setting.EMBEDDED:
        return "light"
    if rules.setting is Setting.SERVER or rules.examples is None or rules.adapted:
        return "large"
    return next(tier for least, tier in TIER_FROM if rules.examples >= least)


def by_quality(
    candidates: Sequence[Candidate], margin: float, *, builds: bool = False
) -> tuple[Candidate, ...]:
    """The readiest and fastest within `margin` points of the best, then of the rest, and so on.

    A model without a published figure on the yardstick comes after all that have one.
    """

    def cost(candidate: Candidate) -> tuple[int, bool, bool, float]:
        return _cost(candidate, builds=builds)

    known = [(c.points - _licence_points(c), c) for c in candidates if c.points is not None]
    unknown = [c for c in candidates if c.points is None]
    order: list[Candidate] = []
    while known:
        best = max(points for points, _ in known)
        near = [(points, c) for points, c in known if _lost(best - points, c) <= margin]
        first = min(near, key=lambda pair: (cost(pair[1]), -pair[0], pair[1].entry.alias))
        order.append(first[1])
        known.remove(first)
    return (*order, *sorted(unknown, key=cost, reverse=margin < 1))


def too_few(candidate: Candidate, examples: int | None) -> bool:
    """Whether fine-tuning it makes no sense with so few, or at all where no hub has its weights."""
    if examples is None:
        return False
    return not trainable(candidate.entry) or examples < candidate.entry.least_examples


def _licence_points(candidate: Candidate) -> float:
    return RESTRICTED_POINTS if candidate.entry.commercial is False else 0.0


def _lost(points: float, candidate: Candidate) -> float:
    """Points behind the best; of an error rate of a few per cent each counts for three."""
    errors = candidate.quality is not None and candidate.quality.metric == "WER"
    return round(3 * points if errors else points, 1)


def _cost(candidate: Candidate, *, builds: bool) -> tuple[int, bool, bool, float]:
    """A clear licence, then one that `build` takes, then seconds a request, or its size."""
    seconds = candidate.time_s
    return (
        _LICENCES[candidate.entry.commercial],
        builds and not candidate.entry.buildable,
        seconds is None,
        float(candidate.entry.parameters) if seconds is None else seconds,
    )


def _memory_rank(candidate: Candidate) -> int:
    return RANK[candidate.at.standing if candidate.at else Standing.UNSETTLED]


def _time_rank(candidate: Candidate, *, strict: bool | None) -> int:
    """Unknown is not inside."""
    if strict is None:
        return 0
    within = (candidate.at.within if candidate.at else None) or Standing.UNSETTLED
    return RANK[within] if strict else int(within is Standing.OUTSIDE)
