"""The names and memory of the GPUs here, through NVML where its Python binding is installed."""

import importlib
from types import ModuleType
from typing import Any

import msgspec


class GpuFound(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU: name, memory, and compute capability such as `8.6`."""

    name: str
    memory_bytes: int
    compute_capability: str


def gpu_names() -> tuple[str, ...]:
    """The names of the GPUs; empty without NVML or a driver."""
    return tuple(gpu.name for gpu in find_gpus())


def find_gpus() -> tuple[GpuFound, ...]:
    """The GPUs; empty without NVML or a driver."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return ()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return ()
    try:
        return tuple(_describe(nvml, i) for i in range(nvml.nvmlDeviceGetCount()))
    finally:
        nvml.nvmlShutdown()


def name_of(nvml: ModuleType, handle: Any) -> str:  # noqa: ANN401 -- NVML's pointer
    """The name of one GPU; raises NVMLError where the driver does not tell."""
    name = nvml.nvmlDeviceGetName(handle)
    return name.decode() if isinstance(name, bytes) else str(name)


def _describe(nvml: ModuleType, index: int) -> GpuFound:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return GpuFound(
        name=name_of(nvml, handle),
        memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
        compute_capability=f"{major}.{minor}",
    )
