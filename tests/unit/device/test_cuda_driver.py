"""The driver where there is none; what it does with a card cannot be tried without one."""

import ctypes
from typing import Any

import pytest

from deployopt.core.errors import DeviceError
from deployopt.device.cuda_driver import CudaDriver, card_address, driver_missing, driver_version


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
