"""A target: the device, its runtime, the workload and the budgets, as a strict TOML file says.

Reads text; refuses unknown keys, wrong units and unknown metrics with the file, the key path and
the nearest right word (planning/targets.py does the reading).
"""

import re
from typing import Annotated, Final, Literal

import msgspec

from deployopt.core.artifact import RuntimeName
from deployopt.core.budget import Budget, parse_budget
from deployopt.core.calibration import Calibration
from deployopt.core.units import Bandwidth, Compute, Power, Quantity, Size
from deployopt.core.versions import lowest, opset_read_by, parse_range
from deployopt.core.workload import Workload

TARGET_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"

Name = Annotated[
    str,
    msgspec.Meta(
        pattern=TARGET_NAME,
        description="a name of at most 64 small letters, digits, dots, dashes and underscores",
    ),
]
Line = Annotated[
    str, msgspec.Meta(min_length=1, max_length=200, description="one line of 1 to 200 characters")
]
Feature = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9][a-z0-9_.]{0,31}$",
        description='a CPU feature as /proc/cpuinfo names it, such as "asimddp" or "avx512_vnni"',
    ),
]
Day = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$",
        description='a day, month or year such as "2024-08-01", "2024-08" or "2024"',
    ),
]


class Peak(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dense peak rates over the whole device; None where the device has no such arithmetic."""

    fp32: Compute
    tf32: Compute | None = None
    fp16: Compute | None = None
    bf16: Compute | None = None
    fp8: Compute | None = None
    int8: Compute | None = None

    def __post_init__(self) -> None:
        _require_positive(self)


class PowerDraw(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Draw of the whole device."""

    idle: Power | None = None
    load: Power

    def __post_init__(self) -> None:
        _require_positive(self)


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price goes stale: it carries its day and its source."""

    amount: Annotated[float, msgspec.Meta(ge=0)]
    currency: Annotated[
        str, msgspec.Meta(pattern="^[A-Z]{3}$", description='a currency code such as "USD"')
    ] = "USD"
    per: Literal["device", "hour"] = "device"
    as_of: Day
    source: Line


class Gpu(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The accelerator of a target that has one."""

    model: Line
    count: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    compute_capability: Annotated[
        str, msgspec.Meta(pattern=r"^\d{1,2}\.\d$", description='a version such as "8.6"')
    ]
    interconnect: Bandwidth | None = None

    def __post_init__(self) -> None:
        _require_positive(self)


class Hardware(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the device is.

    `memory` is the memory that a model runs in, over all GPUs where there are any;
    `memory_usable` is what is left of it for one process. `bandwidth` is that memory's.
    """

    arch: Literal["aarch64", "x86_64"]
    cpu: Line
    cores: Annotated[int, msgspec.Meta(ge=1, le=1024)]
    isa: tuple[Feature, ...] = ()
    memory: Size
    memory_usable: Size
    bandwidth: Bandwidth
    peak: Peak
    power: PowerDraw | None = None
    storage: Size | None = None
    price: Price | None = None
    gpu: Gpu | None = None

    def __post_init__(self) -> None:
        _require_positive(self)
        if self.memory_usable > self.memory:
            raise ValueError(
                f"memory_usable ({self.memory_usable}) is more than memory ({self.memory})"
            )


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a machine must show to count as this target: every field that is given."""

    arch: Literal["aarch64", "x86_64"]
    board: Line | None = None
    """Whole words of the device tree's model, as `/proc/device-tree/model` gives it."""
    gpu: Line | None = None
    """The GPU's name, as NVML gives it."""
    gpu_count: Annotated[int, msgspec.Meta(ge=1, le=64)] | None = None
    """GPUs of that name, at least."""
    memory_min: Size | None = None
    memory_max: Size | None = None
    """The band that the machine's own memory (MemTotal) must lie in."""

    def __post_init__(self) -> None:
        low, high = self.memory_min, self.memory_max
        if low is not None and high is not None and low > high:
            raise ValueError(f"memory_min ({low}) is more than memory_max ({high})")

    def accepts_board(self, model: str | None) -> bool:
        """Whether this device tree's model will do: `Raspberry Pi 4` is not `Raspberry Pi 400`."""
        if self.board is None:
            return True
        return re.search(rf"(?<!\w){re.escape(self.board)}(?!\w)", model or "") is not None

    def accepts_gpus(self, names: tuple[str, ...]) -> bool:
        """Whether a machine with these GPUs will do."""
        if self.gpu is None:
            return True
        return names.count(self.gpu) >= (self.gpu_count or 1)

    def accepts_memory(self, size: float) -> bool:
        """Whether this much memory (bytes) lies in the band."""
        low, high = self.memory_min, self.memory_max
        return (low is None or size >= low) and (high is None or size <= high)


class Runtime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The runtime on the device: versions as in a requirement, e.g. `>=1.20.1,!=1.21.0,<2`.

    `runtimes` are those that may open a model there, the usual one first; `versions` and
    `opset_max` are ONNX Runtime's, which plain graphs and references need in any case.
    """

    provider: Literal["cpu", "cuda", "tensorrt", "tensorrt-plan", "tensorrt-rtx"] = "cpu"
    runtimes: Annotated[tuple[RuntimeName, ...], msgspec.Meta(min_length=1)] = ("onnxruntime",)
    threads: Annotated[int, msgspec.Meta(ge=1, le=1024)]
    versions: Line
    opset_max: Annotated[int, msgspec.Meta(ge=11, le=64)]

    def __post_init__(self) -> None:
        self._check_runtimes()
        try:
            parse_range(self.versions)
        except ValueError as error:
            raise ValueError(f"versions: {error}") from error
        start = lowest(self.versions)
        if start is None:
            raise ValueError('versions: the range needs a lowest version, as in ">=1.20.1,<2"')
        read = opset_read_by(start)
        if self.opset_max > read:
            oldest = ".".join(map(str, start.release))
            raise ValueError(
                f"opset_max is {self.opset_max}, but onnxruntime {oldest}, the lowest of the "
                f"range, reads opset {read} at most"
            )

    def _check_runtimes(self) -> None:
        if len(set(self.runtimes)) < len(self.runtimes):
            raise ValueError("runtimes: each of them once")
        if "onnxruntime" not in self.runtimes:
            raise ValueError("runtimes: onnxruntime is always one of them, as it runs float graphs")
        if "openvino" in self.runtimes and self.provider != "cpu":
            raise ValueError(f"runtimes: openvino is for provider cpu only, not {self.provider}")
        for name in ("tensorrt-rtx", "tensorrt"):
            if name in self.runtimes and self.provider == "cpu":
                raise ValueError(f"runtimes: {name} is for GPUs, not for provider cpu")


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device and what is asked of it."""

    name: Name
    title: Line
    match: Match
    hardware: Hardware
    runtime: Runtime
    workload: Workload = Workload()
    calibration: Calibration | None = None
    """What `deployopt detect --calibrate` measured; predictions rest on it instead of the peaks."""
    budgets: dict[str, str] = {}

    def __post_init__(self) -> None:
        if self.match.arch != self.hardware.arch:
            raise ValueError(
                f"match.arch ({self.match.arch}) and hardware.arch ({self.hardware.arch}) differ"
            )
        if self.runtime.provider != "cpu" and self.hardware.gpu is None:
            raise ValueError(
                f"runtime.provider is {self.runtime.provider}, but hardware.gpu is missing"
            )

    @property
    def compute_capability(self) -> str:
        """Of its card, such as `8.6`; empty without one."""
        gpu = self.hardware.gpu
        return "" if gpu is None else gpu.compute_capability

    @property
    def limits(self) -> tuple[Budget, ...]:
        """The budgets, read; raises UsageError on an unknown metric or a wrong unit."""
        return tuple(parse_budget(k, v) for k, v in sorted(self.budgets.items()))


def _require_positive(record: msgspec.Struct) -> None:
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, Quantity) and value <= 0:
            raise ValueError(f"{name} must be above zero")
