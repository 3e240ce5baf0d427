"""How long a training run takes on a target, and what it costs.

In: a model's shape, a way to train, a target, examples and epochs. Out: hours with a band of two
up and down, or None where the target gives no peak of the precision. A step takes

    max(operations / (share of peak), bytes between devices / link)
      + launches a layer + the optimizer's pass over the weights + unpacking of 4-bit weights.

The shares are priors between published runs: 38 to 43 % of peak on H100 for Llama 3 (2407.21783);
on one A100 BERT-large at 384 tokens 116 sequences/s in fp16 and 44 in tf32 (26 and 20 %), ResNet-50
2470 and 938 images/s (19 and 15 %) (NVIDIA DeepLearningExamples, 2020 and 2021). Depthwise
convolutions reach far less. Reading data, evaluation and saving are not in it.
"""

import math
from typing import Final

from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.errors import UsageError
from deployopt.core.evidence import Estimate
from deployopt.core.memory import Method, Sharding, Training
from deployopt.core.target import Target
from deployopt.planning.cost.bands import Ends, together
from deployopt.planning.cost.prices import Prices
from deployopt.planning.cost.tariffs import DAY_S, Tariff, Way, cloud_ways, own_way
from deployopt.planning.cost.work import example_flops, repeats, trained_parameters
from deployopt.planning.usable import card_count

BAND: Final = 2.0
COVERAGE: Final = 0.8
COUNT_MAX: Final = 10**12

# Share of peak that matrix products reach, by what the device is.
_STACKED_MEMORY_SHARE: Final = 0.35
_CARD_SHARE: Final = 0.30
_SHARED_MEMORY_SHARE: Final = 0.25
_CPU_SHARE: Final = {"x86_64": 0.35, "aarch64": 0.25}
# Cards with stacked memory are the ones that servers have for training.
_STACKED_BANDWIDTH: Final = 1.2e12
# Beside a matrix product's.
_KINDS: Final = {"gemm": 1.0, "conv1x1": 0.6, "conv3x3": 0.5, "conv": 0.4, "depthwise": 0.08}

# Seconds that starting a layer's kernels takes in one step, forward, back and update: assumed, some
# hundred kernels. It rules short batches, where arithmetic is a fraction of a step.
_LAYER_S: Final = {"cpu": 0.2e-3, "gpu": 2.5e-3}
# Convolutions that cost as much to start as one transformer layer.
_CONVOLUTIONS_A_LAYER: Final = 6
_LAYERS_UNKNOWN: Final = 50

_MEMORY_SHARE: Final = 0.7
_OPTIMIZER_BYTES: Final = 28.0
"""Read and written a trained parameter: weight, gradient and two states."""
_UNPACKED_BYTES: Final = 4.5
"""Of a 4-bit weight: half a byte read, two written and read again."""
_LINK_SHARE: Final = 0.35
_PLAIN_LINK: Final = 16e9
"""Bytes a second between cards without a link of their own, over the PCIe bus."""
_WAITING: Final = 0.93
"""What is left of several devices' work when they wait for each other."""


def training_hours(
    architecture: Architecture,
    training: Training,
    *,
    target: Target,
    examples: int,
    epochs: int,
) -> Estimate | None:
    """Hours of the whole run; None: the target gives no peak of `training.precision`.

    Raises:
        UsageError: no examples or epochs, or more devices than the target has.
    """
    _require(training, target, examples, epochs)
    peak = _device_peak(target, training.precision)
    if peak is None:
        return None
    steps = math.ceil(examples / (training.batch * training.devices)) * epochs
    # The last batch of an epoch may be small: arithmetic goes by examples, the rest by steps.
    compute = _example_s(architecture, training, target, peak) * examples * epochs
    link = _link_s(architecture, training, target) * steps
    fixed = _step_s(architecture, training, target) * steps
    waiting = _WAITING if training.devices > 1 else 1.0
    hours = (max(compute / training.devices, link) + fixed) / waiting / 3600
    return Estimate(
        value=hours,
        lower=hours / BAND,
        upper=hours * BAND,
        coverage=COVERAGE,
        basis=f"{_share(target):.0%} of the {training.precision} peak at best, assumed and not "
        f"measured; {steps:,} steps on {training.devices} device(s)",
    )


def training_cost(target: Target, hours: Estimate, prices: Prices) -> Estimate | None:
    """Money for these hours of the whole target; None where neither way has a price.

    The target's own cloud rate on demand where there is one, else own hardware: its price over the
    hours that it works in its life, and electricity under load.
    """
    rented = next((way for way in cloud_ways(target, prices) if way.middle.a_second), None)
    if rented is not None and rented.machine == target.name:
        return _paid(hours, rented, f"the whole machine at {rented.note.partition(',')[0]}", prices)
    own = own_way(target, prices)
    if own is None:
        return None
    share = prices.own.utilisation
    words = f"{own.name} at a utilisation of {share:.0%}"
    return _paid(hours, _written_off(own, share), words, prices)


def _require(training: Training, target: Target, examples: int, epochs: int) -> None:
    for name, count in (("examples", examples), ("epochs", epochs), ("batch", training.batch)):
        if not 1 <= count <= COUNT_MAX:
            raise UsageError(f"{count} {name} is no training run; give at least 1.")
    there = card_count(target)
    if not 1 <= training.devices <= there:
        raise UsageError(
            f"{training.devices} devices are asked for, but the target {target.name} has {there}."
        )


def _device_peak(target: Target, precision: Precision) -> float | None:
    """Operations a second of one device; None where it has no such arithmetic."""
    peak = target.hardware.peak
    found = {
        Precision.FP32: peak.fp32,
        Precision.TF32: peak.tf32,
        Precision.FP16: peak.fp16,
        Precision.BF16: peak.bf16,
    }.get(precision)
    if found is None:
        return None
    return found / card_count(target)


def _share(target: Target) -> float:
    hardware = target.hardware
    if target.runtime.provider == "cpu":
        return _CPU_SHARE[hardware.arch]
    if hardware.arch == "aarch64":
        return _SHARED_MEMORY_SHARE
    return _STACKED_MEMORY_SHARE if _bandwidth(target) >= _STACKED_BANDWIDTH else _CARD_SHARE


def _bandwidth(target: Target) -> float:
    return target.hardware.bandwidth / card_count(target)


def _example_s(
    architecture: Architecture, training: Training, target: Target, peak: float
) -> float:
    """Seconds of one device's arithmetic for one example."""
    share = _share(target)
    return sum(
        flops / (peak * share * _KINDS.get(kind, _KINDS["conv"]))
        for kind, flops in example_flops(architecture, training).items()
    )


def _link_s(architecture: Architecture, training: Training, target: Target) -> float:
    """Seconds a step that gradients and sharded weights travel, in two bytes each."""
    if training.devices == 1:
        return 0.0
    trained = trained_parameters(architecture, training)
    if training.sharding is Sharding.FSDP:  # gathered forward and back, gradients scattered
        moved = 2.0 * architecture.parameters + trained
    else:
        moved = 2.0 * trained
    gpu = target.hardware.gpu
    link = gpu.interconnect * _LINK_SHARE if gpu and gpu.interconnect else _PLAIN_LINK
    return 2.0 * moved * (1 - 1 / training.devices) / link


def _step_s(architecture: Architecture, training: Training, target: Target) -> float:
    """Seconds that a step takes whatever its batch."""
    layers = sum(stack.layers for stack in architecture.stacks)
    started = sum(one.count for one in architecture.operations if one.macs)
    layers += started // (_CONVOLUTIONS_A_LAYER * repeats(architecture))
    kind = "cpu" if target.runtime.provider == "cpu" else "gpu"
    launches = (layers or _LAYERS_UNKNOWN) * _LAYER_S[kind]
    launches *= 4 / 3 if training.checkpointing else 1
    held = training.devices if training.sharding in {Sharding.ZERO2, Sharding.FSDP} else 1
    bandwidth = _MEMORY_SHARE * _bandwidth(target)
    update = trained_parameters(architecture, training) * _OPTIMIZER_BYTES / held / bandwidth
    unpacking = 0.0
    if training.method is Method.QLORA:
        times = 3 if training.checkpointing else 2
        unpacking = times * architecture.parameters * _UNPACKED_BYTES / bandwidth
    return launches + update + unpacking


def _written_off(own: Way, share: float) -> Way:
    """A day's costs laid on the seconds that it works."""

    def tariff(at: Tariff) -> Tariff:
        return Tariff(a_second=at.a_second + at.a_day / (share * DAY_S))

    return Way(
        name=own.name,
        machine=own.machine,
        low=tariff(own.low),
        middle=tariff(own.middle),
        high=tariff(own.high),
    )


def _paid(hours: Estimate, way: Way, words: str, prices: Prices) -> Estimate:
    def money(tariff: Tariff, time: float) -> float:
        return tariff.a_second * 3600 * time

    value = money(way.middle, hours.value)
    lower, upper = together(
        value,
        (
            Ends(low=money(way.middle, hours.lower), high=money(way.middle, hours.upper)),
            Ends(low=money(way.low, hours.value), high=money(way.high, hours.value)),
        ),
    )
    return Estimate(
        value=value,
        lower=lower,
        upper=upper,
        coverage=hours.coverage,
        basis=f"{words}, {prices.currency}, prices of {prices.as_of}; {hours.basis}",
    )
