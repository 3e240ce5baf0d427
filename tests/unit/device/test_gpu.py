"""GPUs through NVML, here a stand-in: the real one needs a card."""

import importlib
from types import ModuleType, SimpleNamespace

import pytest

from deployopt.device.gpu import find_gpus, gpu_names


class NVMLError(Exception):
    """As the binding has it."""


def _binding(*, driver: bool) -> ModuleType:
    def init() -> None:
        if not driver:
            raise NVMLError

    module = ModuleType("pynvml")
    module.__dict__.update(
        NVMLError=NVMLError,
        nvmlInit=init,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda index: [b"Card A", "Card B"][index],
        nvmlDeviceGetCudaComputeCapability=lambda _: (8, 6),
        nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(total=2**33),
    )
    return module


def test_without_the_binding_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> ModuleType:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    assert find_gpus() == ()


def test_cards_are_described_and_a_missing_driver_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib, "import_module", lambda _: _binding(driver=True))
    assert gpu_names() == ("Card A", "Card B")
    assert find_gpus()[0].compute_capability == "8.6"
    monkeypatch.setattr(importlib, "import_module", lambda _: _binding(driver=False))
    assert find_gpus() == ()
