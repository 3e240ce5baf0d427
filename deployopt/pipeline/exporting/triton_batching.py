"""How many examples and how many instances Triton may run at once, from what was measured.

In: a bundle's workload, its checks, its target, the shapes of its tensors. Out: numbers, each with
the sentence that says where it comes from. Nothing larger than what was measured is allowed.
"""

import math
from typing import Final

import msgspec

from deployopt.core.interface import TextInputs
from deployopt.core.units import Dimension, show_quantity
from deployopt.core.verdict import Check
from deployopt.device.tensors import Tensors
from deployopt.pipeline.exporting.served import Served

_MICRO: Final = 1e6
_LATENCY: Final = "latency_p"
_MEMORY: Final = "memory_peak"


class Batching(msgspec.Struct, frozen=True, kw_only=True):
    """What config.pbtxt says of it."""

    largest: int
    """max_batch_size; 0 where the first dimension is the graph's own."""
    delay_us: int | None
    """How long a request may wait for others; None: requests are not put together."""
    instances: int
    gpus: tuple[int, ...] = ()
    reasons: tuple[str, ...]


def batching_of(served: Served, tensors: Tensors) -> Batching:
    """The numbers for this bundle."""
    largest, why = _largest(served, tensors)
    delay, waiting = _delay(served, largest)
    instances, beside = _instances(served)
    gpu = served.bundle.target.hardware.gpu
    on_gpu = served.bundle.target.runtime.provider != "cpu" and gpu is not None
    return Batching(
        largest=largest,
        delay_us=delay,
        instances=1 if on_gpu else instances,
        gpus=tuple(range(gpu.count)) if on_gpu and gpu is not None else (),
        reasons=(why, waiting, "One instance a card." if on_gpu else beside),
    )


def _largest(served: Served, tensors: Tensors) -> tuple[int, str]:
    batch = served.bundle.target.workload.batch
    if served.bundle.manifest.runtime == "openvino":
        return 0, (
            "max_batch_size is 0: Triton's OpenVINO backend puts requests together only where a "
            "model says which dimension is the batch, and this one does not. The first dimension "
            f"of a request is its batch; {batch} was measured."
        )
    all_of_them = (*tensors.inputs, *tensors.outputs)
    if not all(t.shape and isinstance(t.shape[0], str) for t in all_of_them):
        return 0, "max_batch_size is 0: the graph's own first dimension is fixed."
    return batch, f"max_batch_size is the batch that was measured and judged, {batch}."


def _delay(served: Served, largest: int) -> tuple[int | None, str]:
    """A batch may come while another is worked on: wait, that one, then its own time."""
    if largest <= 1:
        return None, (
            "No dynamic batching: batches were not measured, neither their time nor, of integers "
            "whose range is taken from the whole batch, their answers. A target file with "
            "[workload] batch = 8 has them measured and judged."
        )
    checks = [c for c in served.verdict.checks if c.metric.startswith(_LATENCY)]
    rooms = [found for check in checks if (found := _room(check)) is not None]
    if not rooms:
        return 0, (
            "max_queue_delay_microseconds is 0, since no latency budget says how long a request "
            "may wait: what is waiting already goes together."
        )
    room, check = min(rooms, key=lambda one: one[0])
    took = check.upper or 0.0
    delay = max(0.0, min(room, took))
    return math.floor(delay * _MICRO), (
        f"max_queue_delay_microseconds: the budget of {check.metric}, {_time(check.limit)}, less "
        f"twice the bound of what a batch takes, {_time(took)} ({_evidence(check)}), as a batch "
        f"may come while another is worked on; and no longer than one batch takes.{_alike(served)}"
    )


def _alike(served: Served) -> str:
    free = served.bundle.target.workload.length == "real"
    if not free or not isinstance(served.bundle.manifest.interface.inputs, TextInputs):
        return ""
    return (
        " Triton does not pad: only requests whose texts have as many tokens go together, unless "
        "[workload] length is a number."
    )


def _room(check: Check) -> tuple[float, Check] | None:
    if check.upper is None:
        return None
    return check.limit - 2 * check.upper, check


def _instances(served: Served) -> tuple[int, str]:
    manifest, hardware = served.bundle.manifest, served.bundle.target.hardware
    by_cores = max(1, hardware.cores // manifest.threads)
    memory = served.check(_MEMORY)
    peak = None if memory is None else memory.upper
    by_memory = by_cores if not peak else max(1, int(float(hardware.memory_usable) // peak))
    count = min(by_cores, by_memory)
    said = (
        f"instance_group: {hardware.cores} cores of {served.bundle.target.name} hold {count} of "
        f"{manifest.threads} threads."
    )
    if count > 1:
        said += " One was measured alone; several share caches and memory bandwidth: time them."
    return count, said


def _evidence(check: Check) -> str:
    return "not known" if check.evidence is None else check.evidence.value


def _time(seconds: float) -> str:
    return show_quantity(seconds, Dimension.TIME)
