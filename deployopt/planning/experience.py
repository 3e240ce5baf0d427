"""What was measured on a device corrects what is predicted for it.

In: experiences, as builds and verifications left them in the store. Out: a factor on predicted
latencies with its own band, or None where nothing was measured on such a device. One model is one
point, however often it was measured; few points move a prediction only part of the way.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.experience import Experience, premises_of
from deployopt.core.metric import METRICS, Kind
from deployopt.core.target import Target

_Z: Final = 1.2816
"""Standard deviations on either side that hold four cases in five."""
_MODEL_SPREAD: Final = math.log(1.6) / _Z / 1.1
"""How far models on one device lie from each other at most, as a natural logarithm: a band of 1.6
with four of them measured."""
_LEAST_SPREAD: Final = 0.05
_PRIOR_POINTS: Final = 3.0
"""The assumed spread counts as much as this many measured models."""
_MAD: Final = 1.4826
"""Median absolute deviation to standard deviation."""
_FACTOR_MAX: Final = 10.0


class Correction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Multiply a predicted latency by `factor`; it then holds within `band` in 4 cases of 5."""

    factor: float
    band: float
    points: int
    """Models that it was learned from."""
    sentence: str


def learn(
    experiences: Iterable[Experience],
    target: Target,
    precision: Precision,
    *,
    convolutional: bool,
    band: float = 2.25,
) -> Correction | None:
    """What experience with this target, precision and kind of model says; None without any.

    The device's own ratio is the median over its models, shrunk toward 1 by the weight that a
    normal prior gives it; the band is that of a further model (posterior predictive, 80 %). `band`
    is the uncorrected prediction's, which says how far device and model together may lie off.
    """
    premises = premises_of(target)
    fitting = [
        e
        for e in experiences
        if e.target == target.name
        and e.premises == premises
        and e.precision is precision
        and e.convolutional is convolutional
        and e.runtime.split(" ")[0] == target.runtime.provider
        and _is_latency(e)
    ]
    runtime, ratios = _points(fitting)
    if not ratios:
        return None
    device, model = _spreads(band)
    noise = _pooled(ratios, model)
    weight_of_prior = (noise / device) ** 2
    factor = math.exp(median(ratios) * len(ratios) / (len(ratios) + weight_of_prior))
    further = noise * math.sqrt(1 + 1 / (len(ratios) + weight_of_prior))
    return Correction(
        factor=min(max(factor, 1 / _FACTOR_MAX), _FACTOR_MAX),
        band=math.exp(_Z * further),
        points=len(ratios),
        sentence=f"x {factor:.2g} learned from {_models(len(ratios))} measured on such a device "
        f"({runtime})",
    )


def _models(count: int) -> str:
    return "1 model" if count == 1 else f"{count} models"


def _is_latency(experience: Experience) -> bool:
    metric = METRICS.get(experience.metric)
    return metric is not None and metric.kind is Kind.LATENCY and experience.usable


def _points(experiences: Sequence[Experience]) -> tuple[str, list[float]]:
    """The runtime, and ln(measured / predicted) of each model, on the machine with the most.

    Two machines or two releases of the runtime under one name are never mixed.
    """
    machines: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for e in experiences:
        machines[e.machine, e.runtime][e.model].append(math.log(e.ratio))
    if not machines:
        return "", []
    (_, runtime), models = max(machines.items(), key=lambda item: (len(item[1]), item[0]))
    return runtime, [median(lot) for lot in models.values()]


def _spreads(band: float) -> tuple[float, float]:
    """How far the device, and a model on it, are expected to lie off: together, the band."""
    whole = max(math.log(band) / _Z, _LEAST_SPREAD)
    model = min(whole / math.sqrt(2), _MODEL_SPREAD)
    return math.sqrt(whole**2 - model**2), model


def _pooled(ratios: Sequence[float], expected: float) -> float:
    """The models' spread: what was expected of it and what is seen, by their weights."""
    middle = median(ratios)
    seen = _MAD * median(abs(r - middle) for r in ratios)
    free = len(ratios) - 1
    return math.sqrt((_PRIOR_POINTS * expected**2 + free * seen**2) / (_PRIOR_POINTS + free))
