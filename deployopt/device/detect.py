"""This machine as a target profile, by real probes, and any target as the TOML that describes it.

In: nothing, or a Target. Out: a Target, or text that reads back to the same Target. The peaks are
rates that ONNX Runtime reached here, not what a datasheet would say.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Final

import msgspec
import onnxruntime
import psutil

from deployopt.core.codec import decode_toml
from deployopt.core.measurement import Machine
from deployopt.core.target import Target
from deployopt.core.text import safe_text
from deployopt.core.units import UNITS, Quantity
from deployopt.core.versions import opset_read_by, parse_version
from deployopt.device.gpu import GpuFound, find_gpus
from deployopt.device.machine import describe_machine
from deployopt.device.probes import copy_bandwidth, float_rate, int8_rate

_USABLE: Final = 0.9
_MEMORY_BAND: Final = 0.05
_LINE_MAX: Final = 200
_LEAST_OPSET: Final = 17
# Of a peak, what a large product reaches: predictions start from peaks and take efficiencies off.
_PRODUCT_SHARE: Final = 0.85
Plain = dict[str, object]

_HEADER: Final = """\
# Written by `deployopt detect`. Bandwidth is what was reached on this machine, the peaks what
# large products reached over the 0.85 of a peak that they usually do, the best of several tries; on
# a busy machine run it again. The budgets are examples: set your own.
"""


def detect(machine: Machine | None = None) -> Target:
    """Probe this machine; takes a few seconds."""
    machine = machine or describe_machine()
    gpus = find_gpus()
    found: Plain = {
        "name": "this-machine",
        "title": _line(f"{machine.board or machine.cpu}, as detected"),
        "match": _match(machine, gpus),
        "hardware": _hardware(machine, gpus),
        "runtime": _runtime(machine, gpus),
        "workload": {"batch": 1, "length": "real"},
        "budgets": {"latency_p95": "60 ms", "accuracy_drop": "1 pt"},
    }
    return decode_toml(_toml(found).encode(), Target, where="what was detected")


def to_toml(target: Target) -> str:
    """The target as a TOML file; `load_target` reads the same target from it."""
    return _HEADER + _toml(_plain(target))


def usable_cores(machine: Machine) -> int:
    """Whole cores that this process may use."""
    cores = len(machine.affinity) or machine.cores
    quota = machine.cgroup_cpus
    return cores if quota is None else max(1, min(cores, int(quota)))


def _match(machine: Machine, gpus: tuple[GpuFound, ...]) -> Plain:
    size = float(machine.memory_bytes)
    match: Plain = {
        "arch": machine.arch,
        "board": _line(machine.board) if machine.board else None,
        "memory_min": _amount(size * (1 - _MEMORY_BAND), "GiB"),
        "memory_max": _amount(size * (1 + _MEMORY_BAND), "GiB"),
    }
    if gpus:
        match |= {"gpu": gpus[0].name, "gpu_count": sum(g.name == gpus[0].name for g in gpus)}
    return match


def _hardware(machine: Machine, gpus: tuple[GpuFound, ...]) -> Plain:
    cores = usable_cores(machine)
    free = psutil.virtual_memory().available
    usable = min(free, machine.memory_bytes, machine.memory_limit_bytes or free)
    told = [
        f"governor {machine.governor}" if machine.governor else "",
        f"{machine.frequency_max_mhz:.0f} MHz at most" if machine.frequency_max_mhz else "",
        "turbo" if machine.boost else "",
        "SMT" if machine.smt else "",
    ]
    gpu: Plain | None = None
    if gpus:
        gpu = {
            "model": gpus[0].name,
            "count": sum(g.name == gpus[0].name for g in gpus),
            "compute_capability": gpus[0].compute_capability,
        }
    return {
        "arch": machine.arch,
        "cpu": _line(", ".join(word for word in (machine.cpu, *told) if word)),
        "cores": cores,
        "isa": list(machine.isa),
        "memory": _amount(machine.memory_bytes, "GiB"),
        "memory_usable": _amount(_USABLE * usable, "GiB"),
        "bandwidth": _amount(copy_bandwidth(cores), "GB/s"),
        "storage": _amount(shutil.disk_usage(Path.home()).free, "GB"),
        "peak": {
            "fp32": _amount(float_rate(cores) / _PRODUCT_SHARE, "GFLOP/s"),
            "int8": _amount(int8_rate(cores) / _PRODUCT_SHARE, "GOP/s"),
        },
        "gpu": gpu,
    }


def _runtime(machine: Machine, gpus: tuple[GpuFound, ...]) -> Plain:
    version = re.match(r"\d+(\.\d+)*", onnxruntime.__version__)
    release = version[0] if version else "1.20.1"
    cuda = bool(gpus) and "CUDAExecutionProvider" in machine.providers
    openvino = machine.arch == "x86_64" and "openvino" in machine.packages
    return {
        "provider": "cuda" if cuda else "cpu",
        "runtimes": ["onnxruntime"] if cuda or not openvino else ["onnxruntime", "openvino"],
        "threads": usable_cores(machine),
        "versions": f">={release},<2",
        "opset_max": max(_LEAST_OPSET, opset_read_by(parse_version(release))),
    }


def _amount(value: float, unit: str) -> str:
    """Three significant digits, which is more than a probe is good for."""
    scale = next(units[unit] for units in UNITS.values() if unit in units)
    return f"{float(f'{value / scale:.3g}'):g} {unit}"


def _line(text: str) -> str:
    return safe_text(text, _LINE_MAX).strip() or "unknown"


def _plain(record: msgspec.Struct, *, whole: bool = False) -> Plain:
    """The record's fields in TOML's types, empty ones left out; `whole`: rates of integers."""
    fields: Plain = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, msgspec.Struct):
            fields[name] = _plain(value, whole=name == "int8")
        elif isinstance(value, Quantity):
            fields[name] = _written(value, whole=whole or name == "int8")
        elif value is not None:
            fields[name] = list(value) if isinstance(value, tuple) else value
    return fields


def _written(quantity: Quantity, *, whole: bool = False) -> str:
    """The shortest text in the largest fitting unit that reads back to exactly this value.

    Operations on whole numbers are not called FLOP.
    """
    kind = type(quantity)
    units = sorted(UNITS[quantity.dimension].items(), key=lambda unit: -unit[1])
    for unit, scale in units:
        if whole and "FLOP" in unit:
            continue
        for digits in (3, 6, 12):
            number = f"{quantity / scale:.{digits}g}"
            if quantity >= scale and kind.parse(f"{number} {unit}") == quantity:
                return f"{number} {unit}"
    return quantity.written()


def _toml(table: Plain, path: str = "") -> str:
    """Plain keys first, then the tables inside, each under its own header."""
    lines = [
        f"{key} = {_value(value)}"
        for key, value in table.items()
        if value is not None and not isinstance(value, dict)
    ]
    head = f"\n[{path}]\n" if path and lines else ""
    text = head + "".join(f"{line}\n" for line in lines)
    for key, value in table.items():
        if isinstance(value, dict):
            text += _toml(value, f"{path}.{key}" if path else key)
    return text


def _value(value: object) -> str:
    # JSON's strings, numbers, booleans and lists are TOML's, surrogate pairs aside.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
