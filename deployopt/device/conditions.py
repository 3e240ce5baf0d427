"""What the machine did while a round was timed, and whether the round counts.

In: two readings of the kernel's counters, before and after. Out: a Conditions record; the reason
why a round is void, or None. A round is void for throttling, steal or preemption, never for its
latency.
"""

import resource
import subprocess
import time
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.measurement import Conditions
from deployopt.device.card_watch import card_void
from deployopt.device.readings import SYSTEM, read_number, read_text

STEAL_MAX: Final = 0.05
"""Share of the processors' time that the hypervisor gave to others.

Quiet shared machines show 0 to 1 %; beyond 5 % a request of average length is more likely hit than
a percentile can bear.
"""
PREEMPTED_MAX: Final = 0.10
"""Share of the threads' time spent ready and without a core.

Alone on its cores a process waits next to never; beside one more busy process on two cores, two
threads were measured to wait for 37 to 85 % of the time, and their 95th percentile to be ten times
the median.
"""
SWITCHES_MAX_PER_S: Final = 250.0
"""Involuntary switches a second and thread; used only where the kernel tells no run delay.

A timer tick of 250 Hz that always finds someone else to run.
"""
THROTTLED_NOW: Final = 0b1111
"""Raspberry Pi flags for now: under-voltage, capped, throttled, soft temperature limit."""
_THROTTLE_FILE: Final = "sys/devices/platform/soc/soc:firmware/get_throttled"
_CPU_THROTTLE: Final = "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count"
_STEAL_FIELD: Final = 7
_CPU_FIELDS: Final = 8
_NS: Final = 1e-9


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The counters at one moment; None where the machine does not tell."""

    wall_ns: int
    cpu_s: float
    switches: int
    run_delays_ns: dict[str, int]
    """By thread; empty where the kernel does not tell."""
    total_ticks: int | None
    steal_ticks: int | None
    throttle_flags: int | None
    throttle_count: float | None
    load1: float | None
    temperature_c: float | None
    frequency_mhz: float | None


def read_conditions(system: Path = SYSTEM) -> Reading:
    """Read everything now."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    ticks = _cpu_ticks(system)
    return Reading(
        wall_ns=time.perf_counter_ns(),
        cpu_s=usage.ru_utime + usage.ru_stime,
        switches=usage.ru_nivcsw,
        run_delays_ns=read_run_delays_ns(system),
        total_ticks=sum(ticks) if ticks else None,
        steal_ticks=ticks[_STEAL_FIELD] if ticks else None,
        throttle_flags=_throttle_flags(system),
        throttle_count=read_number(system / _CPU_THROTTLE),
        load1=_first_number(read_text(system / "proc/loadavg")),
        temperature_c=_temperature(system),
        frequency_mhz=_frequency(system),
    )


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """Of the time between two readings, what was not measured, and what passed in it."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    delay_ns: int = 0


def conditions_between(
    before: Reading,
    after: Reading,
    threads: int,
    outside: Outside = Outside(),  # noqa: B008 -- frozen
) -> Conditions:
    """What happened between two readings in a process that computes on `threads` threads."""
    wall_s = max((after.wall_ns - before.wall_ns) * _NS - outside.wall_s, _NS)
    cpu_s = after.cpu_s - before.cpu_s - outside.cpu_s
    switches = after.switches - before.switches
    delay = delay_between(before.run_delays_ns, after.run_delays_ns)
    ticks = _difference(before.total_ticks, after.total_ticks)
    steal = _difference(before.steal_ticks, after.steal_ticks)
    return Conditions(
        load1=after.load1,
        steal_share=steal / ticks if ticks and steal is not None else None,
        throttled=_throttled(before, after),
        temperature_c=after.temperature_c,
        frequency_mhz=after.frequency_mhz,
        involuntary_switches=switches,
        switches_per_s=switches / wall_s,
        cpu_share=cpu_s / (wall_s * threads),
        preempted_share=None
        if delay is None
        else (delay - outside.delay_ns) * _NS / (wall_s * threads),
    )


def void_reason(conditions: Conditions, threads: int) -> str | None:
    """Why a round under these conditions does not count, or None."""
    if conditions.throttled:
        return "the processor was throttled (heat or too little voltage)"
    steal = conditions.steal_share
    if steal is not None and steal > STEAL_MAX:
        return f"the hypervisor took {steal:.0%} of the processors' time"
    waited = conditions.preempted_share
    if waited is not None:
        if waited > PREEMPTED_MAX:
            return f"other processes kept the threads waiting for {waited:.0%} of the time"
    elif conditions.switches_per_s > SWITCHES_MAX_PER_S * threads:
        return f"other processes interrupted {conditions.switches_per_s:.0f} times a second"
    return None if conditions.card is msgspec.UNSET else card_void(conditions.card)


def _throttled(before: Reading, after: Reading) -> bool | None:
    if after.throttle_flags is not None:
        # Now in either reading, or since boot in the second and not yet in the first.
        now = (before.throttle_flags or 0) | after.throttle_flags
        since = after.throttle_flags & ~(before.throttle_flags or 0)
        return bool(now & THROTTLED_NOW) or bool(since)
    if before.throttle_count is not None and after.throttle_count is not None:
        return after.throttle_count > before.throttle_count
    return None


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


def _cpu_ticks(system: Path) -> list[int] | None:
    """User, nice, system, idle, iowait, irq, softirq, steal of all processors together."""
    first = (read_text(system / "proc/stat") or "").partition("\n")[0].split()
    numbers = [int(word) for word in first[1 : 1 + _CPU_FIELDS] if word.isdigit()]
    return numbers if len(numbers) == _CPU_FIELDS else None


def read_run_delays_ns(system: Path = SYSTEM) -> dict[str, int]:
    """Time that each thread of this process has waited for a core, from schedstat."""
    delays = {}
    for path in (system / "proc/self/task").glob("*/schedstat"):
        words = (read_text(path) or "").split()
        if len(words) > 1 and words[1].isdigit():
            delays[path.parent.name] = int(words[1])
    return delays


def delay_between(before: dict[str, int], after: dict[str, int]) -> int | None:
    """Over the threads that live now; one that ended takes its waiting with it."""
    if not after:
        return None
    return sum(delay - before.get(thread, 0) for thread, delay in after.items())


def _throttle_flags(system: Path) -> int | None:
    text = read_text(system / _THROTTLE_FILE)
    if text is None and (system / "usr/bin/vcgencmd").exists():
        text = _vcgencmd(system / "usr/bin/vcgencmd")
    try:
        return int((text or "").rpartition("=")[2], 16)
    except ValueError:
        return None


def _vcgencmd(program: Path) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 -- a fixed path of the system and a fixed argument
            [str(program), "get_throttled"], capture_output=True, text=True, timeout=2, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip()


def _first_number(text: str | None) -> float | None:
    try:
        return float((text or "").split()[0])
    except (IndexError, ValueError):
        return None


def _temperature(system: Path) -> float | None:
    """The hottest thermal zone, in degrees Celsius."""
    zones = (system / "sys/class/thermal").glob("thermal_zone*/temp")
    found = [value / 1000 for zone in zones if (value := read_number(zone)) is not None]
    return max(found, default=None)


def _frequency(system: Path) -> float | None:
    """The slowest processor's frequency in MHz, from cpufreq or /proc/cpuinfo."""
    files = (system / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    found = [value / 1000 for file in files if (value := read_number(file)) is not None]
    if found:
        return min(found)
    lines = (read_text(system / "proc/cpuinfo") or "").splitlines()
    found = [
        value
        for line in lines
        if line.startswith("cpu MHz")
        and (value := _first_number(line.partition(":")[2])) is not None
    ]
    return min(found, default=None)
