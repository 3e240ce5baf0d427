"""Will it fit: before any work, from arithmetic alone.

In: a target and the facts of a model. Out: yes or no with the reason, and where it is no, what
would fit. *No* means that even the lower end of the band at the smallest precision is too much; a
model that only may fit goes on, and the reason says so.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from deployopt.core.artifact import Precision
from deployopt.core.evidence import Estimate
from deployopt.core.plan import Facts
from deployopt.core.target import Target
from deployopt.core.units import Dimension, show_quantity
from deployopt.planning.predict import predict_memory, predict_size
from deployopt.planning.targets import load_target, target_names

BUILT: Final = (Precision.FP32, Precision.INT8)
"""Largest first; what a build can make."""
_SUGGESTIONS: Final = 4


class Fit(NamedTuple):
    """`what_would_fit` is empty where it fits."""

    fits: bool
    reason: str
    what_would_fit: tuple[str, ...] = ()


def check_fit(target: Target, facts: Facts, precisions: tuple[Precision, ...] = BUILT) -> Fit:
    """Whether the model can run in one process on this target, at any of the precisions."""
    within = [p for p in precisions if _surely(target, facts, p)]
    if within:
        return Fit(fits=True, reason=_fits_reason(target, facts, within[0], precisions[0]))
    perhaps = [p for p in precisions if _perhaps(target, facts, p)]
    smallest = precisions[-1]
    if perhaps:
        need = _shown_band(predict_memory(target, facts, perhaps[-1]))
        return Fit(
            fits=True,
            reason=f"may not fit: {perhaps[-1]} is predicted to need {need} of memory, and "
            f"{_memory(target)} are usable on {target.name}; a measurement there will tell",
        )
    return Fit(
        fits=False,
        reason=_refusal(target, facts, smallest),
        what_would_fit=(*_smaller(target, facts, precisions), *_larger(target, facts, precisions)),
    )


def _surely(target: Target, facts: Facts, precision: Precision) -> bool:
    memory, size = predict_memory(target, facts, precision), predict_size(target, facts, precision)
    return memory.upper <= target.hardware.memory_usable and size.upper <= _storage(target)


def _perhaps(target: Target, facts: Facts, precision: Precision) -> bool:
    memory, size = predict_memory(target, facts, precision), predict_size(target, facts, precision)
    return memory.lower <= target.hardware.memory_usable and size.lower <= _storage(target)


def _storage(target: Target) -> float:
    return float("inf") if target.hardware.storage is None else target.hardware.storage


def _fits_reason(target: Target, facts: Facts, best: Precision, asked: Precision) -> str:
    need = _shown_band(predict_memory(target, facts, best))
    reason = f"{best} needs {need} of the {_memory(target)} usable on {target.name}"
    return reason if best is asked else f"{asked} may not fit, but {reason}"


def _refusal(target: Target, facts: Facts, smallest: Precision) -> str:
    memory, size = predict_memory(target, facts, smallest), predict_size(target, facts, smallest)
    if memory.lower > target.hardware.memory_usable:
        return (
            f"even {smallest} is predicted to need {_shown_band(memory)} of memory, and "
            f"{_memory(target)} are usable on {target.name}"
        )
    return (
        f"even {smallest} is predicted to take {_shown_band(size)} of storage, and {target.name} "
        f"has {show_quantity(_storage(target), Dimension.SIZE)}"
    )


def _smaller(target: Target, facts: Facts, tried: Iterable[Precision]) -> tuple[str, ...]:
    """How small a model would have to be, for the precision that needs least."""
    smallest = tuple(tried)[-1]
    low, high = 0, facts.parameters
    while high - low > max(1, facts.parameters // 1000):
        middle = (low + high) // 2
        low, high = (
            (middle, high) if _surely(target, _scaled(facts, middle), smallest) else (low, middle)
        )
    if low == 0:
        return ()
    millions = float(f"{low / 1e6:.2g}")
    return (f"a model of this kind with at most {millions:g} million parameters, in {smallest}",)


def _scaled(facts: Facts, parameters: int) -> Facts:
    """The same kind of model with that many parameters."""
    share = parameters / max(1, facts.parameters)
    return Facts(
        parameters=parameters,
        embedding_parameters=int(facts.embedding_parameters * share),
        weight_bytes=int(facts.weight_bytes * share),
        operations=(),
        peak_activation_bytes=int(facts.peak_activation_bytes * share),
        length=facts.length,
        basis=facts.basis,
    )


def _larger(target: Target, facts: Facts, precisions: tuple[Precision, ...]) -> tuple[str, ...]:
    """The shipped targets that would do, least memory first, with the best precision there."""
    others = sorted(
        (load_target(name) for name in target_names() if name != target.name),
        key=lambda other: (other.hardware.memory_usable, other.name),
    )
    found = []
    for other in others:
        best = next((p for p in precisions if _surely(other, facts, p)), None)
        if best is not None:
            found.append(f"target {other.name} ({other.title}), in {best}")
    return tuple(found[:_SUGGESTIONS])


def _memory(target: Target) -> str:
    return show_quantity(target.hardware.memory_usable, Dimension.SIZE)


def _shown_band(estimate: Estimate) -> str:
    low, high = (show_quantity(v, Dimension.SIZE, 2) for v in (estimate.lower, estimate.upper))
    return low if low == high else f"{low} to {high}"
