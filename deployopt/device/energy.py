"""Energy that the machine's own counters have counted: RAPL on x86, NVML on a GPU.

In: the kernel's files, NVML where a GPU is. Out: joules by counter; the difference of two readings.
Both count the whole package or card, neighbours included. Boards without a counter (a Raspberry Pi)
give nothing, and energy stays a prediction there.
"""

import importlib
from pathlib import Path
from typing import Final

import msgspec

from deployopt.device.readings import SYSTEM, read_number

_ZONES: Final = "sys/class/powercap"
_MICRO: Final = 1e-6
_MILLI: Final = 1e-3


class Counter(msgspec.Struct, frozen=True, kw_only=True):
    """Joules so far; `range_j` is where it starts anew, None where it does not."""

    joules: float
    range_j: float | None = None


def read_energy(system: Path = SYSTEM) -> dict[str, Counter]:
    """Every package and every GPU that counts; empty where none does or may be read."""
    found = {}
    # intel-rapl:0 is a package (AMD's too), intel-rapl:0:1 a part of it.
    for zone in sorted((system / _ZONES).glob("intel-rapl:[0-9]*")):
        if zone.name.count(":") > 1:
            continue
        energy, most = read_number(zone / "energy_uj"), read_number(zone / "max_energy_range_uj")
        if energy is not None:
            range_j = None if most is None else most * _MICRO
            found[zone.name] = Counter(joules=energy * _MICRO, range_j=range_j)
    return found | _gpus()


def energy_between(before: dict[str, Counter], after: dict[str, Counter]) -> float | None:
    """Joules of all counters together, one turn over allowed each; None where none counts."""
    if not before or before.keys() != after.keys():
        return None
    return sum(_difference(before[name], after[name]) for name in before)


def _difference(before: Counter, after: Counter) -> float:
    spent = after.joules - before.joules
    return spent + (after.range_j or 0.0) if spent < 0 else spent


def _gpus() -> dict[str, Counter]:
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return {}
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        return {
            f"gpu {i}": Counter(joules=nvml.nvmlDeviceGetTotalEnergyConsumption(h) * _MILLI)
            for i, h in enumerate(handles)
        }
    except nvml.NVMLError:
        return {}
