"""Latency, memory, size and energy of a model on a target, predicted before anything is built.

In: a target, the facts of a model, a precision. Out: estimates in base units, each with a band that
is meant to hold four cases in five, and with what it rests on. Runs no model.

Latency adds up over the operators (terms.py), times what was fitted to published measurements
(coefficients.py); a calibration in the target or a correction learnt on it stand before both.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from deployopt.core.additive import is_convolutional
from deployopt.core.artifact import Precision
from deployopt.core.evidence import Estimate
from deployopt.core.metric import Kind, Metric, find_metric
from deployopt.core.plan import Facts
from deployopt.core.target import Target
from deployopt.planning.experience import Correction
from deployopt.planning.latency import Timing, time_request
from deployopt.planning.memory import graph_need
from deployopt.planning.queueing import answered, with_waiting
from deployopt.planning.rates import WEIGHT_BYTES
from deployopt.planning.terms import Domain
from deployopt.planning.usable import card_count

ENERGY_BAND: Final = 0.20
_ENGINE: Final = "tensorrt-rtx"
_KERNEL_BYTES: Final = 6e6
_PADDED: Final = 2.5
"""Int8 weights of EfficientNet-Lite0 took 2.5 bytes each in an engine, as channels of convolutions
are padded to whole tiles; those of a small DistilBERT one. Kernels take 1 to 6 MB in both."""
SIZE_BAND: Final = 0.05
COVERAGE: Final = 0.8

# How much slower a quantile is than the middle of the requests on a quiet machine: assumed.
_TAILS: Final[tuple[tuple[float, float], ...]] = (
    (0.50, 1.00),
    (0.90, 1.05),
    (0.95, 1.10),
    (0.99, 1.20),
    (1.00, 1.50),
)

# The graph itself, tokenizer and label map stand beside the weights: next to nothing for a graph of
# arrays, most of it for a text model with a large vocabulary.
_GRAPH_BYTES: Final = 1.0e6
# The scales that int8 weights and embeddings carry.
_SCALES: Final = 1.02


def forecast(
    target: Target,
    facts: Facts,
    precision: Precision,
    metrics: Iterable[str],
    correction: Correction | None = None,
) -> dict[str, Estimate]:
    """An estimate for every metric that can be predicted; others, as accuracy, are left out.

    `correction` is what was learnt on this device; it holds for latency and energy.

    Raises:
        UsageError: an unknown metric.
    """
    found = {
        name: _estimate(target, facts, precision, find_metric(name), correction) for name in metrics
    }
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def _estimate(
    target: Target,
    facts: Facts,
    precision: Precision,
    metric: Metric,
    correction: Correction | None,
) -> Estimate | None:
    """Of one metric; None where it cannot be predicted."""
    if metric.kind in _PREDICTORS:
        return _PREDICTORS[metric.kind](target, facts, precision)
    if metric.kind is Kind.ENERGY and target.hardware.power is not None:
        return predict_energy(target, facts, precision, correction)
    if metric.kind not in {Kind.LATENCY, Kind.THROUGHPUT}:
        return None
    latency = predict_latency(target, facts, precision, metric.quantile or 0.5, correction)
    if latency is None:
        return None
    arrivals, batch = target.workload.requests_per_s, target.workload.batch
    if metric.kind is Kind.THROUGHPUT:
        possible = _of_one_card(throughput_of(latency, batch), card_count(target))
        return possible if arrivals is None else answered(possible, arrivals * batch)
    return latency if arrivals is None else with_waiting(latency, arrivals, metric.quantile or 0.5)


def predict_latency(  # noqa: PLR0913 -- what is asked, and what was learnt
    target: Target,
    facts: Facts,
    precision: Precision,
    quantile: float = 0.5,
    correction: Correction | None = None,
    *,
    domain: Domain | None = None,
    devices: int = 1,
) -> Estimate | None:
    """Seconds a request; None where no work was counted or the target cannot compute so.

    `domain` says what the facts are of where they are a prompt's or a token's; `devices` GPUs share
    a request's work.
    """
    found = time_request(target, facts.operations, precision, domain, devices)
    if found is None or found.seconds <= 0:
        return None
    if correction is not None:
        found = Timing(
            found.seconds * correction.factor, correction.band, correction.sentence, found.note
        )
    value = found.seconds * _tail(quantile)
    said = [found.basis, facts.basis, found.note]
    return Estimate(
        value=value,
        lower=value / found.band,
        upper=value * found.band,
        coverage=COVERAGE,
        basis="; ".join(part for part in said if part),
    )


def throughput_of(latency: Estimate, batch: int, copies: int = 1) -> Estimate:
    """Requests a second: `copies` of the model work at once, each on batch after batch.

    `latency` is of a whole batch, in seconds.
    """
    return Estimate(
        value=copies * batch / latency.value,
        lower=copies * batch / latency.upper,
        upper=copies * batch / latency.lower,
        coverage=latency.coverage,
        basis=f"{batch} at once"
        + (f" on each of {copies} devices" if copies > 1 else "")
        + f"; {latency.basis}",
    )


def _of_one_card(throughput: Estimate, cards: int) -> Estimate:
    """As it is measured; what a copy on each card would answer is said."""
    if cards == 1:
        return throughput
    told = f"on one of {cards} cards, and {cards} times as many with a copy on each"
    return msgspec.structs.replace(throughput, basis=f"{told}; {throughput.basis}")


def predict_memory(target: Target, facts: Facts, precision: Precision) -> Estimate:
    """Peak bytes of the memory that the model runs in: a process's, or the GPU's."""
    return graph_need(target, facts, precision).total


def predict_size(target: Target, facts: Facts, precision: Precision) -> Estimate:
    """Bytes of the files that are deployed; an engine brings its kernels along, a graph none."""
    if target.runtime.provider != "cpu":
        return _card_size(target, facts, precision)
    weights = stored_weights(facts, precision)
    return Estimate(
        value=weights + _GRAPH_BYTES / 2,
        lower=weights * (1 - SIZE_BAND),
        upper=(weights + _GRAPH_BYTES) * (1 + SIZE_BAND),
        coverage=COVERAGE,
        basis=f"parameters at {precision} for {target.name}; {facts.basis}",
    )


def _card_size(target: Target, facts: Facts, precision: Precision) -> Estimate:
    """Lookups stay in 16 bits where products have 8."""
    engine = target.runtime.provider == _ENGINE
    beside, words = (_KERNEL_BYTES, " and kernels") if engine else (_GRAPH_BYTES, "")
    weights = padded = stored_weights(facts, precision)
    if precision in {Precision.INT8, Precision.FP8}:
        lookups = facts.embedding_parameters * WEIGHT_BYTES[Precision.FP16]
        products = (facts.parameters - facts.embedding_parameters) * WEIGHT_BYTES[Precision.INT8]
        weights = lookups + products
        pads = engine and is_convolutional(facts.operations)
        padded = lookups + (_PADDED if pads else 1.0) * products
    return Estimate(
        value=weights + beside / 2,
        lower=weights * (1 - SIZE_BAND),
        upper=padded * (1 + SIZE_BAND) + beside,
        coverage=COVERAGE,
        basis=f"parameters at {precision}{words} for {target.name}; {facts.basis}",
    )


def predict_energy(
    target: Target, facts: Facts, precision: Precision, correction: Correction | None = None
) -> Estimate | None:
    """Joules a request: the draw under load for as long as it takes; None where that is unknown.

    Raises:
        ValueError: the target gives no power.
    """
    if target.hardware.power is None:
        raise ValueError(f"target {target.name} gives no power draw")
    latency = predict_latency(target, facts, precision, correction=correction)
    if latency is None:
        return None
    load = float(target.hardware.power.load)
    return Estimate(
        value=latency.value * load,
        lower=latency.lower * load * (1 - ENERGY_BAND),
        upper=latency.upper * load * (1 + ENERGY_BAND),
        coverage=COVERAGE,
        basis=f"{load:g} W under load x predicted latency; {latency.basis}",
    )


def stored_weights(facts: Facts, precision: Precision) -> float:
    """Bytes of weights in the file; int8 holds the embeddings too, with its scales."""
    if precision is Precision.FP32:
        return float(facts.weight_bytes)
    scales = _SCALES if precision is Precision.INT8 else 1.0
    return facts.parameters * WEIGHT_BYTES[precision] * scales


def _tail(quantile: float) -> float:
    return next(factor for highest, factor in _TAILS if quantile <= highest)


_PREDICTORS: Final[Mapping[Kind, Callable[[Target, Facts, Precision], Estimate]]] = {
    Kind.MEMORY: predict_memory,
    Kind.SIZE: predict_size,
}
