"""NVML's binding on a made-up card: functions, constants and records by the real names."""

import os
from types import ModuleType, SimpleNamespace
from typing import Any

GIB = 2**30


class NVMLError(Exception):
    """As the binding has it."""


class FakeCard:
    """What the card is at this moment; a value of None is one that the driver does not tell."""

    def __init__(self) -> None:
        self.name: str | None = "A card"
        self.clock: int | None = 1755
        self.degrees: int | None = 61
        self.milliwatts: int | None = 310_000
        self.reasons: int | None = 0
        self.heat_ns: int | None = 7
        self.used = GIB
        self.processes: dict[int, int | None] = {}
        self.utilization: list[tuple[int, int, int]] = []
        """pid, time in microseconds, per cent of the card's processors."""
        self.asked = 0

    def holds(self, size: int) -> None:
        """So much is held by the process that looks."""
        self.processes[os.getpid()] = size


def nvml_of(card: FakeCard, *, old: bool = False) -> ModuleType:
    """The binding; `old` has the names of before driver 535."""

    def told(value: Any) -> Any:
        card.asked += 1
        if value is None:
            raise NVMLError("not supported")
        return value

    def utilization(_: str, since: int) -> list[SimpleNamespace]:
        found = [
            SimpleNamespace(pid=pid, timeStamp=at, smUtil=share)
            for pid, at, share in card.utilization
            if at > since
        ]
        return list(told(found or None))

    def processes(_: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=p, usedGpuMemory=b) for p, b in card.processes.items()]

    word = "Throttle" if old else "Event"
    module = ModuleType("pynvml")
    module.__dict__.update(
        {
            "NVMLError": NVMLError,
            "NVML_CLOCK_SM": 1,
            "NVML_TEMPERATURE_GPU": 0,
            "NVML_PERF_POLICY_THERMAL": 1,
            "nvmlInit": lambda: None,
            "nvmlDeviceGetHandleByPciBusId": lambda address: address,
            "nvmlDeviceGetName": lambda _: told(card.name),
            "nvmlDeviceGetClockInfo": lambda _, kind: told(card.clock if kind == 1 else None),
            "nvmlDeviceGetTemperature": lambda _, kind: told(card.degrees if kind == 0 else None),
            "nvmlDeviceGetPowerUsage": lambda _: told(card.milliwatts),
            f"nvmlDeviceGetCurrentClocks{word}Reasons": lambda _: told(card.reasons),
            "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(used=told(card.used)),
            "nvmlDeviceGetComputeRunningProcesses": processes,
            "nvmlDeviceGetProcessUtilization": utilization,
            "nvmlDeviceGetViolationStatus": lambda _, __: SimpleNamespace(
                violationTime=told(card.heat_ns)
            ),
            f"nvmlClocks{word}ReasonGpuIdle": 1,
            f"nvmlClocks{word}ReasonSwPowerCap": 4,
            f"nvmlClocks{word}ReasonHwSlowdown": 8,
            f"nvmlClocks{word}ReasonSwThermalSlowdown": 32,
            f"nvmlClocks{word}ReasonHwThermalSlowdown": 64,
            f"nvmlClocks{word}ReasonHwPowerBrakeSlowdown": 128,
        }
    )
    return module
