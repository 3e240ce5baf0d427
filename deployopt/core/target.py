"""A target: the device, its runtime, the workload and the budgets, as a strict TOML file says.

Reads text; refuses unknown keys, wrong units and unknown metrics with the file, the key path and
the nearest right word.
"""

from typing import Annotated, Final, Literal

import msgspec

from deployopt.core.budget import Budget, parse_budget
from deployopt.core.units import Bandwidth, Compute, Power, Size
from deployopt.core.workload import Workload

TARGET_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class Peak(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dense peak rates over the whole device; None where the device has no such arithmetic."""

    fp32: Compute
    tf32: Compute | None = None
    fp16: Compute | None = None
    bf16: Compute | None = None
    int8: Compute | None = None


class PowerDraw(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Draw of the whole device."""

    idle: Power | None = None
    load: Power


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price goes stale: it carries its day and its source."""

    amount: Annotated[float, msgspec.Meta(ge=0)]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] = "USD"
    per: Literal["device", "hour"] = "device"
    as_of: Annotated[str, msgspec.Meta(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$")]
    source: str


class Gpu(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The accelerator of a target that has one."""

    model: str
    count: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    compute_capability: Annotated[str, msgspec.Meta(pattern=r"^\d{1,2}\.\d$")]
    interconnect: Bandwidth | None = None


class Hardware(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the device is; `memory_usable` is what is left for one process."""

    arch: Literal["aarch64", "x86_64"]
    cpu: str
    cores: Annotated[int, msgspec.Meta(ge=1, le=1024)]
    isa: tuple[str, ...] = ()
    memory: Size
    memory_usable: Size
    bandwidth: Bandwidth
    peak: Peak
    power: PowerDraw | None = None
    storage: Size | None = None
    price: Price | None = None
    gpu: Gpu | None = None


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a machine must show to count as this target: every field that is given."""

    arch: Literal["aarch64", "x86_64"]
    board: str | None = None
    """Part of the device tree's model, as `/proc/device-tree/model` gives it."""
    gpu: str | None = None
    """Part of the GPU's name, as NVML gives it."""
    memory_min: Size | None = None
    memory_max: Size | None = None


class Runtime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The runtime on the device: versions as in a requirement, e.g. `>=1.20.1,!=1.21.0,<2`."""

    provider: Literal["cpu", "cuda", "tensorrt", "tensorrt-rtx"] = "cpu"
    threads: Annotated[int, msgspec.Meta(ge=1, le=1024)]
    versions: str
    opset_max: Annotated[int, msgspec.Meta(ge=11, le=64)]


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device and what is asked of it."""

    name: Annotated[str, msgspec.Meta(pattern=TARGET_NAME)]
    title: str
    match: Match
    hardware: Hardware
    runtime: Runtime
    workload: Workload = Workload()
    budgets: dict[str, str] = {}

    @property
    def limits(self) -> tuple[Budget, ...]:
        """The budgets, read; raises UsageError on an unknown metric or a wrong unit."""
        return tuple(parse_budget(k, v) for k, v in sorted(self.budgets.items()))
