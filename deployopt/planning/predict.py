"""Latency, memory, size and energy of a model on a target, predicted from datasheets alone.

In: a target, the facts of a model, a precision. Out: estimates in base units, each with a band that
is meant to hold four cases in five, and with what it rests on. Runs no model.

Latency adds up over the operators: 2 macs / (efficiency x peak) + weight bytes / (0.7 x bandwidth)
+ activation bytes / (0.5 x bandwidth) + overhead.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from deployopt.core.artifact import Precision
from deployopt.core.evidence import Estimate
from deployopt.core.metric import Kind, find_metric
from deployopt.core.plan import Facts
from deployopt.core.target import Target
from deployopt.planning.rates import ACTIVATIONS_SHARE, WEIGHT_BYTES, WEIGHTS_SHARE, Rates, rates

LATENCY_BAND: Final = 2.5
"""A datasheet alone is right within this factor in four cases of five."""
MEMORY_BAND: Final = 0.15
ENERGY_BAND: Final = 0.20
SIZE_BAND: Final = 0.05
COVERAGE: Final = 0.8
CONVOLUTIONS: Final = frozenset({"conv", "conv1x1", "conv3x3", "depthwise"})

# How much slower a quantile is than the middle of the requests on a quiet machine: assumed.
_TAILS: Final[tuple[tuple[float, float], ...]] = (
    (0.50, 1.00),
    (0.90, 1.05),
    (0.95, 1.10),
    (0.99, 1.20),
    (1.00, 1.50),
)

# A process with the runtime, a tokenizer and an open session, before weights: 49 MiB of imports
# measured, and what a session adds whatever it holds.
_FLOOR_BYTES: Final = 80 * 2**20
# Peak bytes a byte of weights: the file is read, the weights are packed anew (1.27 measured).
_LOADED: Final = 1.27
_CUDA_CONTEXT_BYTES: Final = 0.9e9
_CUDA_CONTEXT_BAND: Final = 0.5e9

# The graph itself, tokenizer and label map stand beside the weights: next to nothing for a graph of
# arrays, most of it for a text model with a large vocabulary.
_GRAPH_BYTES: Final = 1.0e6
# The scales that int8 weights and embeddings carry.
_SCALES: Final = 1.02


def forecast(
    target: Target, facts: Facts, precision: Precision, metrics: Iterable[str]
) -> dict[str, Estimate]:
    """An estimate for every metric that can be predicted; others, as accuracy, are left out.

    Raises:
        UsageError: an unknown metric.
    """
    found: dict[str, Estimate] = {}
    for name in metrics:
        metric = find_metric(name)
        if metric.kind is Kind.LATENCY and metric.quantile is not None:
            found[name] = predict_latency(target, facts, precision, metric.quantile)
        elif metric.kind in _PREDICTORS:
            found[name] = _PREDICTORS[metric.kind](target, facts, precision)
        elif metric.kind is Kind.ENERGY and target.hardware.power is not None:
            found[name] = predict_energy(target, facts, precision)
    return found


def predict_latency(
    target: Target, facts: Facts, precision: Precision, quantile: float = 0.5
) -> Estimate:
    """Seconds a request."""
    convolutional = any(operation.kind in CONVOLUTIONS for operation in facts.operations)
    at = rates(target, precision, convolutional=convolutional)
    value = seconds(facts, at) * _tail(quantile)
    return Estimate(
        value=value,
        lower=value / LATENCY_BAND,
        upper=value * LATENCY_BAND,
        coverage=COVERAGE,
        basis=f"datasheet only, no measurement of this device; {facts.basis}",
    )


def predict_memory(target: Target, facts: Facts, precision: Precision) -> Estimate:
    """Peak bytes of the memory that the model runs in: a process's, or the GPU's."""
    weights = stored_weights(facts, precision)
    if target.runtime.provider == "cpu":
        value = _FLOOR_BYTES + _LOADED * weights + facts.peak_activation_bytes
        band, basis = MEMORY_BAND * value, "runtime, weights and activations"
    else:
        value = _CUDA_CONTEXT_BYTES + weights + 2 * facts.peak_activation_bytes
        band = MEMORY_BAND * value + _CUDA_CONTEXT_BAND
        basis = "CUDA context, weights and activations"
    return Estimate(
        value=value,
        lower=max(0.0, value - band),
        upper=value + band,
        coverage=COVERAGE,
        basis=f"{basis}; {facts.basis}",
    )


def predict_size(target: Target, facts: Facts, precision: Precision) -> Estimate:
    """Bytes of the files that are deployed; the same on every target."""
    weights = stored_weights(facts, precision)
    return Estimate(
        value=weights + _GRAPH_BYTES / 2,
        lower=weights * (1 - SIZE_BAND),
        upper=(weights + _GRAPH_BYTES) * (1 + SIZE_BAND),
        coverage=COVERAGE,
        basis=f"parameters at {precision} for {target.name}; {facts.basis}",
    )


def predict_energy(target: Target, facts: Facts, precision: Precision) -> Estimate:
    """Joules a request: the draw under load for as long as it takes.

    Raises:
        ValueError: the target gives no power.
    """
    if target.hardware.power is None:
        raise ValueError(f"target {target.name} gives no power draw")
    latency = predict_latency(target, facts, precision)
    load = float(target.hardware.power.load)
    return Estimate(
        value=latency.value * load,
        lower=latency.lower * load * (1 - ENERGY_BAND),
        upper=latency.upper * load * (1 + ENERGY_BAND),
        coverage=COVERAGE,
        basis=f"{load:g} W under load x predicted latency; {latency.basis}",
    )


def seconds(facts: Facts, at: Rates) -> float:
    """The additive model: every operator computes, reads weights, moves activations, starts."""
    total = 0.0
    for operation in facts.operations:
        once = (
            2 * operation.macs / at.of(operation.kind)
            + operation.weights * at.weight_bytes / (WEIGHTS_SHARE * at.bandwidth)
            + operation.activations * at.activation_bytes / (ACTIVATIONS_SHARE * at.bandwidth)
            + at.overhead_s
        )
        total += once * operation.count
    return total


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
