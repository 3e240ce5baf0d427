"""What spoils measurements on this machine now, and how to mend it.

In: a machine and the kernel's files, read for a second. Out: findings. It only looks: nothing is
changed, and no governor is set behind anyone's back.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import psutil

from deployopt.core.diagnosis import Finding, State
from deployopt.core.measurement import Machine
from deployopt.core.text import safe_text
from deployopt.core.units import Dimension, show_quantity
from deployopt.device.conditions import STEAL_MAX, Reading, read_conditions

LOOK_S: Final = 1.0
BUSY_MAX: Final = 0.1
"""Of one core: with more taken by others a round is often void."""
_HOT_C: Final = 75.0
_FREE_MIN: Final = 1 << 30
_MEMORY_MIN: Final = 512 << 20
_SHOWN: Final = 3
_PI_NOW: Final = {
    0: ("under-voltage", "use the 5 V supply that belongs to the board, and a short cable"),
    1: ("the frequency is capped", "cool the board: a heat sink or a fan"),
    2: ("it is throttled", "cool the board: a heat sink or a fan"),
    3: ("the soft temperature limit is reached", "cool the board: a heat sink or a fan"),
}
_PI_SINCE: Final = 16
_GOVERNOR: Final = (
    "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
)
_NO_TURBO: Final = "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"
_NO_BOOST: Final = "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost"


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """A process that computes beside us; `share` of one core."""

    name: str
    pid: int
    share: float


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a second of watching showed."""

    before: Reading
    after: Reading
    neighbours: tuple[Neighbour, ...]
    free_memory_bytes: int
    swapped_bytes: int
    free_disk_bytes: int


def look(store: Path, seconds: float = LOOK_S) -> Look:
    """Watch for a while; `store` is where files are kept."""
    processes = list(psutil.process_iter(["name", "pid"]))
    for process in processes:
        _share(process)
    before = read_conditions()
    psutil.cpu_percent(interval=seconds)
    after = read_conditions()
    own = {os.getpid(), os.getppid()}
    found = (
        Neighbour(
            name=safe_text(str(process.info["name"]), 40),
            pid=process.info["pid"],
            share=_share(process) / 100,
        )
        for process in processes
        if process.info["pid"] not in own
    )
    existing = next(folder for folder in (store, *store.parents) if folder.exists())
    return Look(
        before=before,
        after=after,
        neighbours=tuple(sorted((n for n in found if n.share > 0), key=lambda n: -n.share)),
        free_memory_bytes=psutil.virtual_memory().available,
        swapped_bytes=psutil.swap_memory().used,
        free_disk_bytes=shutil.disk_usage(existing).free,
    )


def _share(process: psutil.Process) -> float:
    """Since this was asked last, in per cent of a core; 0 for one that is gone."""
    try:
        return float(process.cpu_percent())
    except psutil.Error:
        return 0.0


def check_up(machine: Machine, seen: Look) -> tuple[Finding, ...]:
    """Everything that was looked at, good or not."""
    return (
        *_cores(machine),
        *_frequency(machine),
        _heat(seen.after),
        _throttling(seen.after),
        _neighbours(seen.neighbours),
        _steal(seen),
        _counters(seen.after),
        _memory(seen),
        _disk(seen),
    )


def _cores(machine: Machine) -> tuple[Finding, ...]:
    usable = len(machine.affinity) or machine.cores
    findings = [
        Finding(
            topic="cores",
            state=State.GOOD if usable == machine.cores else State.NOTE,
            says=f"{usable} of {machine.cores} may be used",
        )
    ]
    quota = machine.cgroup_cpus
    if quota is not None and quota < usable:
        findings.append(
            Finding(
                topic="quota",
                state=State.WARNING,
                says=f"this container may use {quota:g} cores' time of {usable}; requests are "
                "stopped in the middle when it is used up",
                mend=f"start it with --cpus={usable}, or pin it with --cpuset-cpus",
            )
        )
    if machine.smt:
        says = "on: two threads share a core; measure with no more threads than cores"
        findings.append(Finding(topic="smt", state=State.NOTE, says=says))
    return tuple(findings)


def _frequency(machine: Machine) -> tuple[Finding, ...]:
    findings = []
    if machine.governor is None:
        says = "the kernel does not tell (usual in a virtual machine)"
        findings.append(Finding(topic="governor", state=State.NOTE, says=says))
    elif machine.governor == "performance":
        findings.append(Finding(topic="governor", state=State.GOOD, says="performance"))
    else:
        findings.append(
            Finding(
                topic="governor",
                state=State.WARNING,
                says=f"{machine.governor}: the clock rises only under load, so short requests are "
                "measured slow",
                mend=_GOVERNOR,
            )
        )
    if machine.boost:
        findings.append(
            Finding(
                topic="turbo",
                state=State.NOTE,
                says="on: the first seconds are faster than what follows; off for even figures",
                mend=_NO_TURBO if machine.arch == "x86_64" and _intel(machine) else _NO_BOOST,
            )
        )
    return tuple(findings)


def _intel(machine: Machine) -> bool:
    return "intel" in machine.cpu.casefold()


def _heat(now: Reading) -> Finding:
    if now.temperature_c is None:
        return Finding(topic="heat", state=State.NOTE, says="the kernel does not tell")
    hot = now.temperature_c > _HOT_C
    return Finding(
        topic="heat",
        state=State.WARNING if hot else State.GOOD,
        says=f"{now.temperature_c:.0f} °C" + (": it may throttle soon" if hot else ""),
        mend="let it cool, or give it a fan" if hot else "",
    )


def _throttling(now: Reading) -> Finding:
    """A Pi's flags; other machines only count events, which each round looks at."""
    flags = now.throttle_flags
    if flags is None:
        counted = now.throttle_count
        says = "no flags" if counted is None else f"{counted:.0f} events since boot"
        return Finding(topic="throttling", state=State.GOOD, says=says)
    current = [words for bit, words in _PI_NOW.items() if flags >> bit & 1]
    past = [words for bit, words in _PI_NOW.items() if flags >> (bit + _PI_SINCE) & 1]
    if current:
        says = f"now: {', '.join(what for what, _ in current)}"
        return Finding(topic="throttling", state=State.WARNING, says=says, mend=current[0][1])
    if past:
        says = f"since boot: {', '.join(what for what, _ in past)}"
        return Finding(topic="throttling", state=State.NOTE, says=says, mend=past[0][1])
    return Finding(topic="throttling", state=State.GOOD, says="none since boot")


def _neighbours(found: Sequence[Neighbour]) -> Finding:
    busy = sum(one.share for one in found)
    if busy <= BUSY_MAX:
        return Finding(topic="neighbours", state=State.GOOD, says="no one else computes")
    named = ", ".join(f"{one.name} ({one.pid}) {one.share:.0%}" for one in found[:_SHOWN])
    return Finding(
        topic="neighbours",
        state=State.WARNING,
        says=f"others take {busy:.0%} of a core: {named}",
        mend="stop them while you measure; rounds that they disturb do not count",
    )


def _steal(seen: Look) -> Finding:
    before, after = seen.before, seen.after
    if None in (before.steal_ticks, after.steal_ticks, before.total_ticks, after.total_ticks):
        return Finding(topic="steal", state=State.NOTE, says="the kernel does not tell")
    ticks = (after.total_ticks or 0) - (before.total_ticks or 0)
    share = ((after.steal_ticks or 0) - (before.steal_ticks or 0)) / ticks if ticks else 0.0
    if share <= STEAL_MAX:
        return Finding(topic="steal", state=State.GOOD, says=f"{share:.1%} of the cores' time")
    return Finding(
        topic="steal",
        state=State.WARNING,
        says=f"the hypervisor gives {share:.0%} of the cores' time to others",
        mend="measure at another time, or on a machine of its own",
    )


def _counters(now: Reading) -> Finding:
    if now.run_delays_ns:
        says = "the kernel tells how long threads wait for a core"
        return Finding(topic="counters", state=State.GOOD, says=says)
    return Finding(
        topic="counters",
        state=State.NOTE,
        says="no schedstat: disturbed rounds are found by interruptions alone",
    )


def _memory(seen: Look) -> Finding:
    free = show_quantity(seen.free_memory_bytes, Dimension.SIZE)
    if seen.free_memory_bytes < _MEMORY_MIN:
        says = f"{free} free: a model may be pushed to swap"
        mend = "stop what takes it"
        return Finding(topic="memory", state=State.WARNING, says=says, mend=mend)
    swapped = show_quantity(seen.swapped_bytes, Dimension.SIZE)
    says = f"{free} free" + (f", {swapped} in swap" if seen.swapped_bytes else "")
    return Finding(topic="memory", state=State.GOOD, says=says)


def _disk(seen: Look) -> Finding:
    free = show_quantity(seen.free_disk_bytes, Dimension.SIZE)
    if seen.free_disk_bytes < _FREE_MIN:
        mend = "deployopt gc, or another folder with --store"
        says = f"{free} free for the store"
        return Finding(topic="disk", state=State.WARNING, says=says, mend=mend)
    return Finding(topic="disk", state=State.GOOD, says=f"{free} free for the store")
