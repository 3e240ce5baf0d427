"""Where a model can be trained: on the target, or on which other machine.

In: a target. Out: targets in the order to try. An ARM board never trains; a CPU only what is done
within a day.
"""

import functools
from typing import Final

from deployopt.core.target import Target
from deployopt.planning.recommending.setting import Setting, on_gpu, setting_of
from deployopt.planning.targets import load_target, target_names

DAY_H: Final = 24.0
WEEK_H: Final = 168.0
"""Hours after which a faster machine is looked for."""


def trains(target: Target) -> bool:
    """Whether training on it is worth thinking about."""
    return setting_of(target) is not Setting.EMBEDDED


def hours_allowed(target: Target) -> float:
    """A CPU is given a day, a GPU a week."""
    return WEEK_H if on_gpu(target) else DAY_H


@functools.cache
def machines() -> tuple[Target, ...]:
    """The shipped targets that have a GPU to train on."""
    shipped = (load_target(name) for name in target_names())
    return tuple(target for target in shipped if on_gpu(target) and trains(target))


def elsewhere(target: Target) -> tuple[Target, ...]:
    """Other machines than the target."""
    return tuple(other for other in machines() if other.name != target.name)


def by_memory(target: Target) -> tuple[Target, ...]:
    """Shipped targets with more memory than this one, the smallest first."""
    shipped = (load_target(name) for name in target_names())
    more = (t for t in shipped if t.hardware.memory_usable > target.hardware.memory_usable)
    return tuple(sorted(more, key=lambda other: other.hardware.memory_usable))
