"""What the card did while a round was timed, and what this process took of it, through NVML.

In: NVML's binding, asked between requests every tenth of a second. Out: a CardConditions record,
with the most memory that the process had on the card; why a round under them is void, or None. It
is for heat, the power brake, or others that computed on the card; a card at its power limit works
as it always does under load. Refuses to measure on another card than the one that was meant.
"""

import importlib
import os
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import msgspec
import psutil

from deployopt.core.errors import DeviceError
from deployopt.core.measurement import CardConditions, Conditions
from deployopt.core.text import safe_text
from deployopt.device.cuda_driver import card_address
from deployopt.device.energy import SAMPLE_S
from deployopt.device.gpu import name_of
from deployopt.device.session import Spent
from deployopt.device.setup import Setup

OTHERS_MAX: Final = 0.05
"""Share of the card's time that others may have had: a desktop draws itself on its card."""
POWER_LIMIT: Final = "power limit"
_REASONS: Final = {
    "SwPowerCap": POWER_LIMIT,
    "HwSlowdown": "slowdown",
    "SwThermalSlowdown": "heat",
    "HwThermalSlowdown": "heat",
    "HwPowerBrakeSlowdown": "power brake",
}
"""Why a clock is lower than asked for, by NVML's names; idling and clocks that are set are none."""
_ASKED: Final = (
    ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlClocksEventReason"),
    ("nvmlDeviceGetCurrentClocksThrottleReasons", "nvmlClocksThrottleReason"),
)
"""Drivers and bindings of before 535 have the second ones only."""
_NS_PER_S: Final = 1_000_000_000
_MILLI: Final = 1e-3
_CPU: Final = "cpu"
_VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
_PERCENT: Final = 0.01
_WHOLE: Final = 100

Clock = Callable[[], int]


class CardWatch:
    """One card, watched by the process that computes on it; made before its model is opened."""

    def __init__(
        self,
        nvml: ModuleType,
        handle: Any,  # noqa: ANN401 -- NVML's pointer
        clock: Clock = time.perf_counter_ns,
    ) -> None:
        self._nvml = nvml
        self._handle = handle
        self._clock = clock
        self._at: int | None = None
        self._seen_us = 0
        self._mhz: list[float] = []
        self._degrees: list[float] = []
        self._watts: list[float] = []
        self._reasons: set[str] | None = None
        self._shares: dict[int, float] = {}
        self._others: set[int] = set()
        self._before = self._in_use = self._used()
        self._begun = False
        self._heat_ns: int | None = None
        self._own: int | None = None
        self._risen: int | None = None

    def begin(self) -> None:
        """From here it counts: who computed before is none of this round's doing."""
        self._utilized()
        if self._heat_ns is None:
            self._heat_ns = self._heat()
        if self._begun:
            self._pass_over()
        self._begun = True
        self.look()

    def sample(self) -> None:
        """To be called often, between requests."""
        if self._at is None or self._clock() - self._at >= SAMPLE_S * _NS_PER_S:
            self.look()

    def look(self) -> None:
        """Read what is so at this moment."""
        self._at = self._clock()
        nvml = self._nvml
        _add(self._mhz, self._ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM))
        _add(self._degrees, self._ask("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU))
        _add(self._watts, self._ask("nvmlDeviceGetPowerUsage"), _MILLI)
        self._read_reasons()
        self._read_memory()

    def end(self) -> None:
        """To here it counted; another begin may follow."""
        self.look()
        for pid, share in self._utilized():
            if not _ours(pid):
                self._shares[pid] = max(share, self._shares.get(pid, 0.0))

    def memory_now(self) -> int | None:
        """The most that this process had on the card, read again now."""
        self.look()
        return self._risen if self._own is None else self._own

    def conditions(self) -> CardConditions:
        """What was seen between begin and end."""
        before, after = self._heat_ns, self._heat()
        risen = None if before is None or after is None else after > before
        reasons = (self._reasons or set()) | ({"heat"} if risen else set())
        told = self._reasons is not None or risen is not None
        # Without its own entry in NVML's list, the numbers of processes there are another's.
        named = self._own is not None
        return CardConditions(
            clock_mhz=min(self._mhz, default=None),
            temperature_c=max(self._degrees, default=None),
            power_w=max(self._watts, default=None),
            reasons=tuple(sorted(reasons)),
            throttled=bool(reasons - {POWER_LIMIT}) if told else None,
            others=len(self._others) if named else None,
            others_share=max(self._shares.values(), default=0.0) if named else None,
            memory_bytes=self._own if named else self._risen,
            memory_of="process" if named else "card",
        )

    def _read_reasons(self) -> None:
        for function, prefix in _ASKED:
            flags = self._ask(function)
            if flags is None:
                continue
            bits = {name: getattr(self._nvml, f"{prefix}{name}", 0) for name in _REASONS}
            found = {_REASONS[name] for name, bit in bits.items() if int(flags) & bit}
            self._reasons = (self._reasons or set()) | found
            return

    def _pass_over(self) -> None:
        """What others took or gave back since the last look, while this one waited, is not its."""
        used = self._used()
        if used is not None and self._in_use is not None and self._before is not None:
            self._before += used - self._in_use

    def _read_memory(self) -> None:
        used = self._in_use = self._used()
        if used is not None and self._before is not None:
            self._risen = max(self._risen or 0, used - self._before)
        for one in self._ask("nvmlDeviceGetComputeRunningProcesses") or ():
            if one.pid == os.getpid():
                self._own = _most(self._own, one.usedGpuMemory)
            elif not _ours(one.pid):
                self._others.add(one.pid)

    def _utilized(self) -> list[tuple[int, float]]:
        """Who computed since this was asked last: a share of the processors' time a process."""
        told = self._ask("nvmlDeviceGetProcessUtilization", self._seen_us) or ()
        # Some drivers add samples of no process, with more than the whole and times to come.
        found = [one for one in told if one.smUtil <= _WHOLE]
        self._seen_us = max((one.timeStamp for one in found), default=self._seen_us)
        return [(one.pid, one.smUtil * _PERCENT) for one in found]

    def _used(self) -> int | None:
        info = self._ask("nvmlDeviceGetMemoryInfo")
        return None if info is None else int(info.used)

    def _heat(self) -> int | None:
        """How long heat has held the clock down since the driver was loaded."""
        policy = getattr(self._nvml, "NVML_PERF_POLICY_THERMAL", None)
        found = None if policy is None else self._ask("nvmlDeviceGetViolationStatus", policy)
        return None if found is None else int(found.violationTime)

    def _ask(self, function: str, *arguments: object) -> Any:  # noqa: ANN401 -- what NVML gives
        """None where this card, driver or binding does not tell."""
        call = getattr(self._nvml, function, None)
        if call is None:
            return None
        try:
            return call(self._handle, *arguments)
        except self._nvml.NVMLError:
            return None


def watch_card(provider: str) -> CardWatch | None:
    """The card that a model of this provider runs on; None on a CPU, and where NVML is not there.

    CUDA and NVML number cards in orders of their own, so it is named by its place on the bus.
    """
    found = None if provider == _CPU else _first_card()
    return None if found is None else CardWatch(*found)


def begin_with(setup: Setup) -> None:
    """Have CUDA begin with the setup's card in this process, of those that it may see."""
    if setup.provider == _CPU or setup.card_at == 0:
        return
    seen = [one for one in os.environ.get(_VISIBLE, "").split(",") if one.strip()]
    if seen and setup.card_at >= len(seen):
        raise DeviceError(
            f"{_VISIBLE} names {len(seen)} cards, and one more is asked for than these."
        )
    os.environ[_VISIBLE] = seen[setup.card_at] if seen else str(setup.card_at)


def require_card(setup: Setup) -> None:
    """Raise DeviceError where CUDA would begin with another card than the setup names."""
    found = None if setup.card is None or setup.provider == _CPU else _first_card()
    if found is None:
        return
    try:
        name = name_of(*found)
    except found[0].NVMLError:
        name = "one that it does not name"
    if name != setup.card:
        raise DeviceError(
            f"This machine has several cards, and CUDA begins with {safe_text(name, 60)}, which is "
            f"not the target's {setup.card}. Name that one by its UUID, which `nvidia-smi -L` "
            "lists: CUDA_VISIBLE_DEVICES=GPU-…"
        )


def free_on_card() -> int | None:
    """Bytes that are free on the card that CUDA begins with; None where NVML does not tell."""
    found = _first_card()
    if found is None:
        return None
    nvml, handle = found
    try:
        return int(nvml.nvmlDeviceGetMemoryInfo(handle).free)
    except nvml.NVMLError:
        return None


def _first_card() -> tuple[ModuleType, Any] | None:
    """NVML and its pointer to the card that CUDA begins with; None where it does not tell."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
        address = card_address()
        return None if address is None else (nvml, nvml.nvmlDeviceGetHandleByPciBusId(address))
    except nvml.NVMLError:
        return None


def with_card(
    conditions: Conditions,
    provider: str,
    card: CardWatch | None,
    spent: Spent | None = None,
) -> Conditions:
    """A round's conditions with those of the card that it ran on, told or not."""
    if provider == _CPU:
        return conditions
    seen = CardConditions() if card is None else card.conditions()
    if spent is not None:
        seen = msgspec.structs.replace(
            seen,
            copied_share=spent.copied_share,
            captured_share=spent.captured_share,
            uncaptured=spent.uncaptured,
        )
    return msgspec.structs.replace(conditions, card=seen)


def card_void(seen: CardConditions) -> str | None:
    """Why a round under these conditions does not count, or None."""
    if seen.throttled:
        why = ", ".join(reason for reason in seen.reasons if reason != POWER_LIMIT)
        return f"the card was throttled ({why})"
    if seen.others_share is not None and seen.others_share > OTHERS_MAX:
        return f"another process had {seen.others_share:.0%} of the card's time"
    return None


def _ours(pid: int) -> bool:
    """This process, or another of the same measurement, which is still while this one has its turn.

    So is the one that measures, which may have worked the reference out there before. One that is
    gone, or whose number is another namespace's, is none of them.
    """
    if pid in {os.getpid(), os.getppid()}:
        return True
    try:
        return bool(psutil.Process(pid).ppid() == os.getppid())
    except psutil.Error:
        return False


def _add(values: list[float], value: float | None, scale: float = 1.0) -> None:
    if value is not None:
        values.append(float(value) * scale)


def _most(so_far: int | None, value: int | None) -> int | None:
    return so_far if value is None else max(int(value), so_far or 0)
