"""Which shape is tried next, by optuna's tree-structured Parzen estimator (Bergstra et al. 2011).

In: shapes that were timed and what those that were taught promise. Out: the next one. The first
few are spread over the latencies, as accuracy falls with them; then the sampler proposes, and the
nearest shape that is left is taken.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from deployopt.core.search import Profile, TimedShape

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_SPREAD: Final = (0.7, 0.4, 0.2, 0.9)
"""Places in the order of time, fastest first: one that is likely to keep its accuracy leads."""


_ALL: Final = 1_000
"""Layers, where none are named: more than any model has."""


def next_shape(
    shapes: Sequence[TimedShape], promises: Mapping[Profile, float], seed: int
) -> TimedShape | None:
    """The next of `shapes` (in one form, each profile once) to be taught; None when all were.

    `promises` are of the profiles that were taught, in the order of their teaching.
    """
    left = sorted((s for s in shapes if s.profile not in promises), key=lambda s: s.ratio)
    if not left:
        return None
    if len(promises) < len(_SPREAD):
        ordered = sorted(shapes, key=lambda s: s.ratio)
        wanted = ordered[round(_SPREAD[len(promises)] * (len(ordered) - 1))]
        return min(left, key=lambda s: abs(ordered.index(s) - ordered.index(wanted)))
    proposed = _propose([s.profile for s in shapes], promises, seed)
    return min(left, key=lambda s: _distance(_place(s.profile), proposed))


def _propose(
    space: Sequence[Profile], promises: Mapping[Profile, float], seed: int
) -> dict[str, float]:
    import optuna  # only a search needs it, and the small install has none

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    bounds = _bounds(space)
    for profile, promise in promises.items():
        trial = optuna.trial.create_trial(
            params=_place(profile), distributions=bounds, value=promise
        )
        study.add_trial(trial)
    return dict(study.ask(bounds).params)


def _place(profile: Profile) -> dict[str, float]:
    """A profile as numbers; no layers named is all of them, which is more than any number."""
    return {
        "layers": float(len(profile.layers) or _ALL),
        "ffn": profile.ffn,
        "heads": profile.heads,
        "channels": profile.channels,
    }


def _bounds(space: Sequence[Profile]) -> "dict[str, BaseDistribution]":
    from optuna.distributions import CategoricalDistribution

    places = [_place(profile) for profile in space]
    found: dict[str, BaseDistribution] = {}
    for name in places[0]:
        values = sorted({place[name] for place in places})
        found[name] = CategoricalDistribution(values)
    return found


def _distance(place: Mapping[str, float], proposed: Mapping[str, float]) -> float:
    """In logarithms, so that 2 of 4 layers is as far from 4 as 4 is from 8."""
    return sum(abs(_log(place[name]) - _log(value)) for name, value in proposed.items())


def _log(value: float) -> float:
    return math.log(max(value, 1e-9))
