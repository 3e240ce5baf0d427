"""The driver where there is none, and its calls against a library with the same prototypes.

What a real one does with a card cannot be tried without one.
"""

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deployopt.core.errors import DeviceError
from deployopt.device import cuda_driver as module
from deployopt.device.cuda_driver import (
    Card,
    CudaDriver,
    card_address,
    cuda_words,
    describe_card,
    driver_missing,
    driver_version,
)


class Broken:
    """A driver that was installed for another kernel."""

    @staticmethod
    def cuInit(_flags: int) -> int:  # noqa: N802 -- the driver's own name
        return 999


def test_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise OSError

    monkeypatch.setattr("ctypes.CDLL", missing)
    assert driver_missing() == "there is no NVIDIA driver (libcuda.so.1)"
    with pytest.raises(DeviceError, match="no NVIDIA driver"):
        CudaDriver()
    with pytest.raises(DeviceError, match="no card to build for: there is no NVIDIA driver"):
        describe_card()


def test_a_driver_that_finds_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: Broken)
    assert driver_missing() == "the NVIDIA driver finds no card (its error 999)"


class Working:
    """A driver for CUDA 12.8 with one card."""

    @staticmethod
    def cuInit(_flags: int) -> int:  # noqa: N802
        return 0

    @staticmethod
    def cuDriverGetVersion(version: Any) -> int:  # noqa: N802
        version._obj.value = 12080
        return 0

    @staticmethod
    def cuDeviceGet(device: Any, number: int) -> int:  # noqa: N802
        device._obj.value = number
        return 0

    @staticmethod
    def cuDeviceGetPCIBusId(text: Any, size: int, device: Any) -> int:  # noqa: N802
        assert device.value == 0
        assert size == ctypes.sizeof(text)
        text.value = b"0000:65:00.0"
        return 0

    @staticmethod
    def cuDeviceGetName(text: Any, size: int, _device: Any) -> int:  # noqa: N802
        assert size == ctypes.sizeof(text)
        text.value = b"NVIDIA Card"
        return 0

    @staticmethod
    def cuDeviceTotalMem_v2(size: Any, _device: Any) -> int:  # noqa: N802
        size._obj.value = 12 * 2**30
        return 0

    @staticmethod
    def cuDeviceGetAttribute(found: Any, kind: int, _device: Any) -> int:  # noqa: N802
        found._obj.value = {75: 8, 76: 6}[kind]
        return 0


def test_a_card_is_described_without_a_context(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: Working)
    monkeypatch.setattr(module, "_RELEASE", tmp_path / "version")
    found = Card(
        name="NVIDIA Card",
        compute_capability="8.6",
        memory_bytes=12 * 2**30,
        cuda=12080,
        driver="",
    )
    assert describe_card() == found
    (tmp_path / "version").write_text("580.95.05\n", "ascii")
    assert describe_card().driver == "580.95.05"
    monkeypatch.setattr(Working, "cuDeviceGetName", lambda *_: 3)
    with pytest.raises(DeviceError, match="cuDeviceGetName gave error 3"):
        describe_card()


def test_what_a_version_is_called() -> None:
    assert (cuda_words(12080), cuda_words(13000)) == ("12.8", "13.0")


def test_what_a_driver_is_for_and_where_its_card_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: Working)
    assert driver_version() == 12080
    assert card_address() == "0000:65:00.0"
    monkeypatch.setattr(Working, "cuDeviceGetPCIBusId", lambda *_: 101)
    assert card_address() is None
    monkeypatch.setattr("ctypes.CDLL", lambda _: Broken)
    assert card_address() is None


def test_without_a_driver_there_is_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise OSError

    monkeypatch.setattr("ctypes.CDLL", missing)
    assert (driver_version(), card_address()) == (None, None)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """One whose card is this process's memory."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not here, which compiles the driver's stand-in")
    made = tmp_path_factory.mktemp("driver") / "libcuda.so.1"
    source = Path(__file__).with_name("fake_cuda.c")
    strict = ("-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror")
    subprocess.run(["gcc", *strict, "-o", made, source], check=True)
    return ctypes.CDLL(str(made))


@pytest.fixture
def card(library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> CudaDriver:
    monkeypatch.setattr(module, "_LIBRARY", library._name)
    ctypes.c_int.in_dll(library, "fake_refuses_capture").value = 0
    return CudaDriver()


def add_one(card: CudaDriver, library: ctypes.CDLL, address: int, size: int) -> bool:
    """In the place of a kernel."""
    where, stream = ctypes.c_uint64(address), ctypes.c_void_p(card.stream)
    return int(library.fake_add_one(where, ctypes.c_size_t(size), stream)) == 0


def test_bytes_go_there_and_come_back(card: CudaDriver, library: ctypes.CDLL) -> None:
    pinned = ctypes.c_int.in_dll(library, "fake_pinned")
    before = pinned.value
    address, given, found = card.allocate(5), card.pinned(5), card.pinned(5)
    assert pinned.value == before + 2
    given[...] = (1, 2, 3, 4, 255)
    found[...] = 0
    card.send(address, given)
    assert add_one(card, library, address, 5)
    card.fetch(found[:4], address)
    assert found.tolist() == [0, 0, 0, 0, 0]
    card.wait()
    assert found.tolist() == [2, 3, 4, 5, 0]
    card.free(address)
    card.unpin(given)
    card.unpin(found)
    assert pinned.value == before


def test_marks_are_of_the_streams_own_time(card: CudaDriver, library: ctypes.CDLL) -> None:
    address = card.allocate(1)
    card.mark(0)
    assert add_one(card, library, address, 1)
    card.mark(1)
    with pytest.raises(DeviceError, match="cuEventElapsedTime gave error 600"):
        card.between_s(0, 1)
    card.wait()
    assert card.between_s(0, 1) == pytest.approx(0.002)


def test_a_graph_does_again_what_was_captured(card: CudaDriver, library: ctypes.CDLL) -> None:
    address, found = card.allocate(2), card.pinned(2)
    found[...] = 7
    card.send(address, found)
    card.wait()
    graph = card.captured(lambda: add_one(card, library, address, 2))
    card.fetch(found, address)
    card.wait()
    assert found.tolist() == [7, 7]
    assert graph is not None
    card.launch(graph)
    card.launch(graph)
    card.fetch(found, address)
    card.wait()
    assert found.tolist() == [9, 9]


def test_where_nothing_can_be_captured_the_stream_works_on(
    card: CudaDriver, library: ctypes.CDLL
) -> None:
    assert card.captured(lambda: False) is None
    ctypes.c_int.in_dll(library, "fake_refuses_capture").value = 1
    address, found = card.allocate(1), card.pinned(1)
    assert card.captured(lambda: add_one(card, library, address, 1)) is None
    found[...] = 3
    card.send(address, found)
    assert add_one(card, library, address, 1)
    card.fetch(found, address)
    card.wait()
    assert found.tolist() == [4]
