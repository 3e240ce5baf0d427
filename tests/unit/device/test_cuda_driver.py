"""The driver where there is none; what it does with a card cannot be tried without one."""

import pytest

from deployopt.core.errors import DeviceError
from deployopt.device.cuda_driver import CudaDriver, driver_missing


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
