"""Which of several shapes is tried, by optuna's tree-structured Parzen estimator (Bergstra 2011).

In: shapes that are about equally worth trying, and what those that were taught promise. Out: the
one nearest to what the sampler proposes: of two shapes that take the same time, the one whose
layers, neurons, heads or channels are like those that did well.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from deployopt.core.search import Profile, TimedShape

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_ALL: Final = 1_000
"""Layers, where none are named: more than any model has."""
_LEAST: Final = 2
"""With fewer results there is nothing to propose by."""


def next_shape(
    equals: Sequence[TimedShape], promises: Mapping[Profile, float], seed: int
) -> TimedShape:
    """One of `equals` (at least one, the best first); `promises` are of the profiles taught."""
    if len(equals) == 1 or len(promises) < _LEAST:
        return equals[0]
    proposed = _propose([*(s.profile for s in equals), *promises], promises, seed)
    return min(equals, key=lambda s: _distance(_place(s.profile), proposed))


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
