"""What this machine is, and whether it is the target.

In: /proc, /sys, the installed packages. Out: a Machine record; the reason why it is not a target;
whether its integer arithmetic can vouch for a target's. What cannot be read is left empty.
"""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Final

import psutil

from deployopt.core.artifact import Precision
from deployopt.core.card import TENSORRT_PACKAGES
from deployopt.core.evidence import Evidence
from deployopt.core.isa import known_features, saturates
from deployopt.core.measurement import Machine
from deployopt.core.target import Target
from deployopt.core.units import Dimension, show_quantity
from deployopt.device.gpu import gpu_names
from deployopt.device.readings import SYSTEM, read_number, read_text
from deployopt.device.setup import Limits

_PACKAGES: Final = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-genai",
    "onnxruntime-genai-cuda",
    "openvino",
    *TENSORRT_PACKAGES,
    "numpy",
    "tokenizers",
    "deployopt",
)
_ARCH: Final = {"amd64": "x86_64", "arm64": "aarch64"}
_MEMORY_SHARE: Final = 0.9
_UNLIMITED: Final = 1 << 60
"""cgroup v1 says "no limit" with a number near 2^63."""


def describe_machine(system: Path = SYSTEM, *, runtime: bool = True) -> Machine:
    """The machine that this process runs on; without the runtime's own word where none is run."""
    cpuinfo = read_text(system / "proc/cpuinfo") or ""
    return Machine(
        arch=_ARCH.get(platform.machine(), platform.machine()),
        cpu=cpu_model(cpuinfo),
        board=read_text(system / "proc/device-tree/model"),
        isa=known_features(cpu_features(cpuinfo)),
        cores=psutil.cpu_count() or 1,
        affinity=tuple(sorted(os.sched_getaffinity(0))),
        cgroup_cpus=cgroup_cpus(system),
        memory_bytes=psutil.virtual_memory().total,
        memory_limit_bytes=cgroup_memory(system),
        governor=read_text(system / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        smt=_switch(system / "sys/devices/system/cpu/smt/active"),
        boost=boost(system),
        frequency_max_mhz=_max_mhz(system),
        kernel=platform.release(),
        python=platform.python_version(),
        packages=_versions() if runtime else {},
        providers=_providers() if runtime else (),
        gpus=gpu_names(),
    )


def cpu_model(cpuinfo: str) -> str:
    """The processor's name; on ARM, where there is none, its part numbers."""
    fields = _fields(cpuinfo)
    if "model name" in fields:
        return fields["model name"]
    if "CPU part" in fields:
        return f"ARM {fields.get('CPU implementer', '?')}/{fields['CPU part']}"
    return platform.processor() or platform.machine()


def cpu_features(cpuinfo: str) -> frozenset[str]:
    """The features of the first processor, as Linux names them."""
    fields = _fields(cpuinfo)
    return frozenset((fields.get("flags") or fields.get("Features") or "").split())


def boost(system: Path = SYSTEM) -> bool | None:
    """Whether turbo (Intel) or boost (others) is on; None where the kernel does not tell."""
    no_turbo = _switch(system / "sys/devices/system/cpu/intel_pstate/no_turbo")
    if no_turbo is not None:
        return not no_turbo
    return _switch(system / "sys/devices/system/cpu/cpufreq/boost")


def _switch(path: Path) -> bool | None:
    found = read_number(path)
    return None if found is None else found > 0


def _max_mhz(system: Path) -> float | None:
    khz = read_number(system / "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")
    return None if khz is None else khz / 1000


def cgroup_cpus(system: Path = SYSTEM) -> float | None:
    """How many processors' time this process may use (cgroup v2, else v1); None: no quota."""
    found = []
    for folder in _cgroup_folders(system, "cpu"):
        quota, _, period = (read_text(folder / "cpu.max") or "").partition(" ")
        if quota.isdigit() and period.isdigit():
            found.append(int(quota) / int(period))
        v1_quota = read_number(folder / "cpu.cfs_quota_us")
        v1_period = read_number(folder / "cpu.cfs_period_us")
        if v1_quota and v1_period and v1_quota > 0:
            found.append(v1_quota / v1_period)
    return min(found, default=None)


def cgroup_memory(system: Path = SYSTEM) -> int | None:
    """Bytes that this process's group may use (cgroup v2, else v1); None: no limit."""
    found = []
    for folder in _cgroup_folders(system, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = read_number(folder / name)
            if limit and limit < _UNLIMITED:
                found.append(int(limit))
    return min(found, default=None)


def matches(target: Target, machine: Machine) -> str | None:
    """None when the machine is the target; else the reason why it is not."""
    wanted = target.match
    if machine.arch != wanted.arch:
        return f"the machine is {machine.arch} and {target.name} is {wanted.arch}"
    if not wanted.accepts_board(machine.board):
        board = repr(machine.board) if machine.board else "of no board that it names"
        return f"the machine is {board} and {target.name} is {wanted.board!r}"
    if wanted.gpu is not None and not wanted.accepts_gpus(machine.gpus):
        return f"the machine has no {wanted.gpu_count or 1} x {wanted.gpu}"
    if not wanted.accepts_memory(machine.memory_bytes):
        shown = show_quantity(machine.memory_bytes, Dimension.SIZE)
        band = f"{wanted.memory_min or 'nothing'} to {wanted.memory_max or 'any'}"
        return f"the machine has {shown} of memory and {target.name} has {band}"
    return None


def evidence_of(target: Target, machine: Machine) -> Evidence:
    """What a measurement on this machine is worth for the target."""
    return Evidence.TARGET if matches(target, machine) is None else Evidence.PROXY


def exact_for(
    target: Target, machine: Machine, precision: Precision, *, reduced_range: bool
) -> bool:
    """Whether integer arithmetic here gives what it would on the target.

    Float arithmetic, and weights of 7 bits (`reduced_range`), do so anywhere.
    """
    integer = precision in {Precision.INT8, Precision.MIXED}
    if not integer or reduced_range or matches(target, machine) is None:
        return True
    there = saturates(target.hardware.arch, target.hardware.isa)
    return saturates(machine.arch, machine.isa) == there


def _fields(cpuinfo: str) -> dict[str, str]:
    """The first processor's block; later ones do not replace it."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, sign, value = line.partition(":")
        if sign:
            fields.setdefault(key.strip(), value.strip())
    return fields


def _cgroup_folders(system: Path, controller: str) -> list[Path]:
    """The folders of this process's group and of its parents, in either hierarchy."""
    folders = []
    for line in (read_text(system / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = [*line.split(":", 2), "", "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        root = system / "sys/fs/cgroup" / (controllers and controller)
        parts = [part for part in path.split("/") if part not in {"", ".."}]
        folders += [root.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
    return folders


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _providers() -> tuple[str, ...]:
    import onnxruntime

    return tuple(onnxruntime.get_available_providers())


def limits_here(system: Path = SYSTEM) -> Limits:
    """Limits for a child on this machine: nine tenths of the memory that is free now."""
    free = int(psutil.virtual_memory().available)
    group = cgroup_memory(system)
    return Limits(memory_bytes=int(_MEMORY_SHARE * min(free, group or free)))
