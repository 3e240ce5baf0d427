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
_SIZE: Final = re.compile(r"\.(large|\d*xlarge)\b")
_VCPUS: Final = re.compile(r"[ _-]*(\d+)[ _-]?vcpus?\b")
_WORDS: Final = re.compile(
    r"xeon|platinum|gold|silver|processor|\bcpu\b|\bgpu\b|ryzen( [3579]\b)?|macbook (pro|air)"
    r"|mac (mini|studio)|colab|google|kaggle|aws|raspberry|64[- _]?bit|32[- _]?bit|arm64|aarch64"
)
_BOARD: Final = re.compile(r"^r?pi[ _-]?(?=\d|zero)")
_CORE_BANDWIDTH: Final = 10.0
"""GB/s that a server's core draws alone."""
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
        """Float operations a second of a CPU's `threads` threads, the fastest cores first.

        Work is divided evenly, so that fast cores wait for slow ones where both are used.
        """
        each = sorted((g * w * 1e9 for n, g, w in self.cores for _ in range(n)), reverse=True)
        used = min(threads or len(each), len(each))
        crowd = contention(self.kind, self.bandwidth * 1e9, len(each))
        evenly = max(count * each[count - 1] for count in range(1, used + 1))
        return evenly * crowding(self.kind, used, crowd)

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
    """The device of that name, however it is spelt.

    Its amount of memory is left off where the table has none. `c6i.2xlarge` and `8 vCPU` are that
    many threads of the whole processor.
    """
    bare = re.sub(r"\(.*?\)|@.*$", " ", name.lower())
    size = _SIZE.search(bare)
    threads = _VCPUS.search(bare)
    short = _VCPUS.sub("", _SIZE.sub("", bare))
    found = _named(short)
    if found is None or not found.is_cpu or (size is None and threads is None):
        return found
    vcpus = int(threads[1]) if threads else _vcpus(size[1] if size else "")
    return _part(found, vcpus if found.kind == "arm-cpu" else max(1, vcpus // 2))


def _named(name: str) -> Device | None:
    spelt = (name, _MEMORY.sub("", name), _CLOCK.sub("", name), _WORDS.sub(" ", name))
    for candidate in (*spelt, _BOARD.sub("rpi", _WORDS.sub(" ", name).strip())):
        short = squeeze(candidate)
        found = devices().get(short) or _loose().get(short)
        if short and found is not None:
            return found
    return None


@cache
def _loose() -> dict[str, Device]:
    """By names without the makers' families."""
    found: dict[str, Device] = {}
    for device in devices().values():
        for name in (device.name, *device.aliases):
            found.setdefault(squeeze(_WORDS.sub(" ", name)), device)
    return found


def _vcpus(size: str) -> int:
    """Of a cloud's `large`, `xlarge`, `12xlarge`."""
    if size == "large":
        return 2
    return 4 * int(size.removesuffix("xlarge") or 1)


def _part(device: Device, count: int) -> Device:
    """`count` of the fastest cores, with what bandwidth they can draw."""
    kept: list[tuple[int, float, int]] = []
    for cores, clock, width in sorted(device.cores, key=lambda c: c[1] * c[2], reverse=True):
        kept.append((min(cores, count - sum(k[0] for k in kept)), clock, width))
    cores_kept = tuple(k for k in kept if k[0] > 0)
    used = sum(k[0] for k in cores_kept)
    return msgspec.structs.replace(
        device,
        name=f"{device.name}_{used}c",
        cores=cores_kept,
        bandwidth=min(device.bandwidth, _CORE_BANDWIDTH * used),
        gpu=None,
    )
