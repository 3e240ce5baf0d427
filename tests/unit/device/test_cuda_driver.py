"""The driver where there is none; what it does with a card cannot be tried without one."""

import ctypes
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
