"""Energy that the machine itself can tell: RAPL on x86, NVML on a GPU, a Jetson's input rail.

In: the kernel's files, NVML where a GPU is. Out: joules of the times that are asked about. Counters
count the whole package or card, neighbours included. A rail tells only the power of the moment, of
the whole board, and is read every tenth of a second between requests. Boards with neither (a
Raspberry Pi) give nothing, and energy stays a prediction there.
"""

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from deployopt.device.readings import SYSTEM, read_number, read_text

_ZONES: Final = "sys/class/powercap"
_SENSORS: Final = "sys/class/hwmon"
_INPUTS: Final = frozenset({"VDD_IN", "POM_5V_IN"})
"""What feeds a whole Jetson, as its INA3221 labels it: Orin and Xavier, Nano and TX2."""
SAMPLE_S: Final = 0.1
_NS: Final = 1e-9
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


class Rail(msgspec.Struct, frozen=True, kw_only=True):
    """The kernel's files of one rail, in millivolts and milliamperes."""

    volts: Path
    amperes: Path

    def power_w(self) -> float | None:
        """Of this moment; None where the sensor does not answer."""
        volts, amperes = read_number(self.volts), read_number(self.amperes)
        return None if volts is None or amperes is None else volts * amperes * _MICRO


def input_rail(system: Path = SYSTEM) -> Rail | None:
    """The rail that feeds the board, where one is measured."""
    for label in sorted((system / _SENSORS).glob("hwmon*/in*_label")):
        number = label.name.removeprefix("in").removesuffix("_label")
        if (read_text(label) or "").strip() in _INPUTS:
            return Rail(
                volts=label.with_name(f"in{number}_input"),
                amperes=label.with_name(f"curr{number}_input"),
            )
    return None


class Meter:
    """Joules of all the times between `begin` and `end`."""

    def __init__(
        self, clock: Callable[[], int] = time.perf_counter_ns, system: Path = SYSTEM
    ) -> None:
        self._clock = clock
        self._system = system
        self._counters = read_energy(system)
        self._rail = None if self._counters else input_rail(system)
        self._at, self._power_w = 0, 0.0
        self._known = bool(self._counters) or self._rail is not None
        self._spent_j = 0.0

    @property
    def joules(self) -> float | None:
        """So far; None where the machine does not tell."""
        return self._spent_j if self._known else None

    def begin(self) -> None:
        """From here it counts."""
        if self._counters:
            self._counters = read_energy(self._system)
        elif self._rail is not None:
            self._read(self._rail)

    def sample(self) -> None:
        """To be called often: a power has to be looked at again and again."""
        if self._rail is not None and (self._clock() - self._at) * _NS >= SAMPLE_S:
            self._add(self._rail)

    def end(self) -> None:
        """To here it counted."""
        if self._rail is not None:
            self._add(self._rail)
        elif self._known:
            now = read_energy(self._system)
            spent_j = energy_between(self._counters, now)
            self._known = spent_j is not None
            self._spent_j += spent_j or 0.0
            self._counters = now

    def _add(self, rail: Rail) -> None:
        """The mean of the power at both ends, over the time between."""
        at, before_w = self._at, self._power_w
        self._read(rail)
        self._spent_j += (before_w + self._power_w) / 2 * (self._at - at) * _NS

    def _read(self, rail: Rail) -> None:
        power_w = rail.power_w()
        self._known = self._known and power_w is not None
        self._at, self._power_w = self._clock(), power_w or 0.0
