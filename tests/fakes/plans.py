"""A machine with an SM86 card and TensorRT, as far as building goes."""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from deployopt.device.cuda_driver import Card

AT_CARD: Final = Path(__file__).parent / "at_card"
CARD: Final = Card(
    name="NVIDIA Card",
    compute_capability="8.6",
    memory_bytes=12 * 2**30,
    cuda=13000,
    driver="580.95.05",
)


def builder_here(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`import tensorrt` works, here and in the builder's process; the module."""
    path = [str(AT_CARD), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
    monkeypatch.syspath_prepend(AT_CARD)
    module = importlib.import_module("tensorrt")
    del sys.modules["tensorrt"]
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    return module
