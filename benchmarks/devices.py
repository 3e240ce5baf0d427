"""The devices that published latency tables name, by their data sheets.

In: a name, however it is spelt. Out: a device with its rates, or None.
"""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from deployopt.planning.terms import Kind, contention, crowding

TABLE: Final = Path(__file__).parent / "data" / "devices.toml"
_VENDORS: Final = re.compile(r"nvidia|geforce|tesla|intel|amd|core|qualcomm|radeon|^[cg]pu")
_MEMORY: Final = re.compile(r"[ _-]?(?<!\d)\d{1,3} ?g(i?b)?\b.*$")
_CLOCK: Final = re.compile(r"[ _-]?\d+ ?mhz.*$")
_DOT_GAIN: Final = 2.6
_PLAIN_ARM_GAIN: Final = 1.25


class Device(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates in T operations/s, bandwidth in GB/s; a CPU has clusters [count, GHz, ops a cycle]."""

    name: str
    aliases: tuple[str, ...] = ()
    kind: Kind
    cores: tuple[tuple[int, float, int], ...] = ()
    features: tuple[str, ...] = ()
    fp32: float = 0.0
    tf32: float | None = None
    fp16: float | None = None
    int8: float | None = None
    fp8: float | None = None
    bandwidth: float
    host: str | None = None
    gpu: str | None = None
    source: str

    @property
    def is_cpu(self) -> bool:
        """Whether it has cores of its own to compute on."""
        return bool(self.cores)

    def operations(self, threads: int | None) -> float:
        """Float operations a second of a CPU's `threads` threads, the fastest cores first."""
        each = sorted((g * w * 1e9 for n, g, w in self.cores for _ in range(n)), reverse=True)
        used = min(threads or len(each), len(each))
        crowd = contention(self.kind, self.bandwidth * 1e9, len(each))
        return sum(each[:used]) * crowding(self.kind, used, crowd)

    def int8_gain(self) -> float:
        """Integer work against float on a CPU."""
        if {"dot", "vnni"} & set(self.features):
            return _DOT_GAIN
        return _PLAIN_ARM_GAIN if self.kind == "arm-cpu" else 1.0


@cache
def devices() -> dict[str, Device]:
    """By name and alias, as `squeeze` writes them."""
    listed = msgspec.convert(tomllib.loads(TABLE.read_text())["device"], tuple[Device, ...])
    found: dict[str, Device] = {}
    for device in listed:
        found.setdefault(squeeze(device.name), device)
    for device in listed:
        for alias in device.aliases:
            found.setdefault(squeeze(alias), device)
    return found


def squeeze(name: str) -> str:
    """Small letters and digits, without the vendor."""
    return re.sub(r"[^a-z0-9+]", "", _VENDORS.sub("", name.lower()))


def find_device(name: str) -> Device | None:
    """The device of that name; its amount of memory is left off where the table has none."""
    bare = re.sub(r"\(.*\)", "", name.lower())
    for candidate in (bare, _MEMORY.sub("", bare), _CLOCK.sub("", bare)):
        found = devices().get(squeeze(candidate))
        if found is not None:
            return found
    return None
