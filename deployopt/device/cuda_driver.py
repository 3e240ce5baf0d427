"""The few calls of NVIDIA's driver that are made: the card, memory, copies, marks, graphs, a wait.

In: libcuda.so.1, which comes with the driver. Refuses machines without a driver or a card, with
what the driver says.
"""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import msgspec
import numpy as np

from deployopt.core.errors import DeviceError
from deployopt.core.samples import Array

_LIBRARY: Final = "libcuda.so.1"
_MAJOR: Final = 75
_MINOR: Final = 76
_ADDRESS_BYTES: Final = 32
_NAME_BYTES: Final = 128
_CUDA_VERSION: Final = 1000
"""The driver counts 12.8 as 12080."""
_MILLI: Final = 1e-3
_THREAD_LOCAL: Final = 1
"""Of capturing: what other threads ask of the driver meanwhile is no part of it."""
_RELEASE: Final = Path("/sys/module/nvidia/version")


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a plan is built for: the first card of CUDA's order, and its driver."""

    name: str
    compute_capability: str
    memory_bytes: int
    cuda: int
    """The newest that the driver is for."""
    driver: str
    """Its release, such as 580.95.05; empty where the kernel does not tell."""


class Cuda(Protocol):
    """What an engine's session needs of a card; all that is begun goes through one stream."""

    compute_capability: str
    stream: int

    def allocate(self, size: int) -> int:
        """Bytes on the card; its address."""
        ...

    def free(self, address: int) -> None:
        """Give them back."""
        ...

    def pinned(self, size: int) -> Array:
        """Bytes here (uint8) that the card reads and writes by itself."""
        ...

    def unpin(self, host: Array) -> None:
        """Give them back."""
        ...

    def send(self, address: int, host: Array) -> None:
        """Begin a copy to the card, of pinned bytes."""
        ...

    def fetch(self, host: Array, address: int) -> None:
        """Begin a copy from the card, into pinned bytes."""
        ...

    def mark(self, number: int) -> None:
        """Note the time when all that was begun before is done; of few numbers, used again."""
        ...

    def between_s(self, first: int, second: int) -> float:
        """Seconds between two marks that were reached."""
        ...

    def captured(self, work: Callable[[], bool]) -> int | None:
        """What `work` begins, without doing it, to be launched as a whole; None where not."""
        ...

    def launch(self, graph: int) -> None:
        """Begin what was captured."""
        ...

    def wait(self) -> None:
        """Until all that was begun is done."""
        ...


def driver_missing() -> str | None:
    """Why the driver cannot be used, in a few words; None where it can."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return "there is no NVIDIA driver (libcuda.so.1)"
    status = int(library.cuInit(0))
    return None if status == 0 else f"the NVIDIA driver finds no card (its error {status})"


def driver_version() -> int | None:
    """The newest CUDA that the driver is for, 12080 for 12.8; None without a driver."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    found = ctypes.c_int()
    return found.value if int(library.cuDriverGetVersion(ctypes.byref(found))) == 0 else None


def cuda_major(version: int) -> int:
    """12080 is of CUDA 12."""
    return version // _CUDA_VERSION


def cuda_words(version: int) -> str:
    """12080 is 12.8."""
    return f"{cuda_major(version)}.{version % _CUDA_VERSION // 10}"


def describe_card() -> Card:
    """The first card, without a context of one's own on it: others may want it for themselves.

    Raises:
        DeviceError: there is none.
    """
    missing = driver_missing()
    if missing is not None:
        raise DeviceError(f"There is no card to build for: {missing}.")
    library, device = ctypes.CDLL(_LIBRARY), ctypes.c_int()
    _call(library, "cuDeviceGet", ctypes.byref(device), 0)
    name = ctypes.create_string_buffer(_NAME_BYTES)
    _call(library, "cuDeviceGetName", name, _NAME_BYTES, device)
    size = ctypes.c_size_t()
    _call(library, "cuDeviceTotalMem_v2", ctypes.byref(size), device)
    return Card(
        name=name.value.decode("utf-8", "replace"),
        compute_capability=_capability(library, device),
        memory_bytes=size.value,
        cuda=driver_version() or 0,
        driver=_RELEASE.read_text("ascii").strip() if _RELEASE.is_file() else "",
    )


def card_address() -> str | None:
    """Where the first card of CUDA's order is on the bus, as NVML knows it too; None without."""
    if driver_missing() is not None:
        return None
    library, device = ctypes.CDLL(_LIBRARY), ctypes.c_int()
    address = ctypes.create_string_buffer(_ADDRESS_BYTES)
    if int(library.cuDeviceGet(ctypes.byref(device), 0)) != 0:
        return None
    told = int(library.cuDeviceGetPCIBusId(address, _ADDRESS_BYTES, device)) == 0
    return address.value.decode("ascii") if told else None


class CudaDriver:
    """The first card; raises DeviceError where a call fails."""

    def __init__(self) -> None:
        missing = driver_missing()
        if missing is not None:
            raise DeviceError(f"The engine cannot be opened: {missing}.")
        self._library = ctypes.CDLL(_LIBRARY)
        device = ctypes.c_int()
        self._call("cuDeviceGet", ctypes.byref(device), 0)
        self.compute_capability = _capability(self._library, device)
        context = ctypes.c_void_p()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._call("cuCtxSetCurrent", context)
        stream = ctypes.c_void_p()
        self._call("cuStreamCreate", ctypes.byref(stream), 0)
        self.stream = int(stream.value or 0)
        self._events: dict[int, ctypes.c_void_p] = {}

    def allocate(self, size: int) -> int:
        """Bytes on the card; its address."""
        address = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(max(1, size)))
        return int(address.value)

    def free(self, address: int) -> None:
        """Give them back."""
        self._call("cuMemFree_v2", ctypes.c_uint64(address))

    def pinned(self, size: int) -> Array:
        """Page-locked bytes: a copy of them need not go through a buffer of the driver's."""
        address = ctypes.c_void_p()
        self._call("cuMemHostAlloc", ctypes.byref(address), ctypes.c_size_t(max(1, size)), 0)
        held = (ctypes.c_uint8 * max(1, size)).from_address(int(address.value or 0))
        return np.frombuffer(memoryview(held), dtype=np.uint8)

    def unpin(self, host: Array) -> None:
        """Give them back."""
        self._call("cuMemFreeHost", _pointer(host))

    def send(self, address: int, host: Array) -> None:
        """Begin a copy to the card."""
        goal, size = ctypes.c_uint64(address), ctypes.c_size_t(host.nbytes)
        self._call("cuMemcpyHtoDAsync_v2", goal, _pointer(host), size, self._stream)

    def fetch(self, host: Array, address: int) -> None:
        """Begin a copy from the card."""
        source, size = ctypes.c_uint64(address), ctypes.c_size_t(host.nbytes)
        self._call("cuMemcpyDtoHAsync_v2", _pointer(host), source, size, self._stream)

    def mark(self, number: int) -> None:
        """Record an event on the stream."""
        if number not in self._events:
            event = ctypes.c_void_p()
            self._call("cuEventCreate", ctypes.byref(event), 0)
            self._events[number] = event
        self._call("cuEventRecord", self._events[number], self._stream)

    def between_s(self, first: int, second: int) -> float:
        """By the card's own clock."""
        found = ctypes.c_float()
        self._call(
            "cuEventElapsedTime", ctypes.byref(found), self._events[first], self._events[second]
        )
        return found.value * _MILLI

    def captured(self, work: Callable[[], bool]) -> int | None:
        """A CUDA graph of what `work` begins; None where the driver takes none of it."""
        library, graph, ready = self._library, ctypes.c_void_p(), ctypes.c_void_p()
        if int(library.cuStreamBeginCapture_v2(self._stream, _THREAD_LOCAL)) != 0:
            return None
        begun = work()
        # Whatever came of it, the stream has to leave the mode of capturing.
        ended = int(library.cuStreamEndCapture(self._stream, ctypes.byref(graph))) == 0
        if not ended or not graph.value:
            return None
        made = (
            begun
            and int(
                library.cuGraphInstantiateWithFlags(ctypes.byref(ready), graph, ctypes.c_uint64(0))
            )
            == 0
        )
        library.cuGraphDestroy(graph)
        return int(ready.value or 0) if made else None

    def launch(self, graph: int) -> None:
        """Begin it, with one call for all its kernels."""
        self._call("cuGraphLaunch", ctypes.c_void_p(graph), self._stream)

    def wait(self) -> None:
        """Until all that was begun is done."""
        self._call("cuStreamSynchronize", self._stream)

    @property
    def _stream(self) -> ctypes.c_void_p:
        return ctypes.c_void_p(self.stream)

    def _call(self, name: str, *arguments: object) -> None:
        _call(self._library, name, *arguments)


def _pointer(host: Array) -> ctypes.c_void_p:
    return host.ctypes.data_as(ctypes.c_void_p)


def _capability(library: ctypes.CDLL, device: ctypes.c_int) -> str:
    found = ctypes.c_int()
    parts = []
    for kind in (_MAJOR, _MINOR):
        _call(library, "cuDeviceGetAttribute", ctypes.byref(found), kind, device)
        parts.append(str(found.value))
    return ".".join(parts)


def _call(library: ctypes.CDLL, name: str, *arguments: object) -> None:
    status = int(getattr(library, name)(*arguments))
    if status != 0:
        raise DeviceError(f"The NVIDIA driver failed: {name} gave error {status}.")
