"""TensorRT as it is installed here, and a driver that it can use.

In: the machine. Out: the library. Refuses, each with a paragraph: machines without a driver or a
card, without the package or its libraries, and a driver that is older than the library's CUDA.
"""

import importlib
from importlib import metadata
from types import ModuleType
from typing import Final

from deployopt.core.card import TENSORRT_PACKAGE, TENSORRT_PACKAGES
from deployopt.core.errors import DeviceError
from deployopt.core.text import safe_text
from deployopt.device.cuda_driver import cuda_major, cuda_words, driver_missing, driver_version

_OLDEST: Final = 12
"""CUDA of the oldest driver that a TensorRT of the package index runs on."""
_NEWEST: Final = 13
_MODULE: Final = "tensorrt"
_SUFFIX: Final = "-cu"


def import_tensorrt() -> ModuleType:
    """The library; raises DeviceError where this machine cannot use it."""
    missing = driver_missing()
    if missing is not None:
        raise DeviceError(
            "The model is a graph that TensorRT builds for the card that it runs on, and it cannot "
            f"be opened here: {missing}. Copy the bundle to a machine with such a card."
        )
    _require_driver()
    try:
        return importlib.import_module(_MODULE)
    except ModuleNotFoundError as error:
        raise DeviceError(
            "The model is opened by TensorRT, whose Python package is not installed here. Install "
            f"it with: {_install()}"
        ) from error
    except (ImportError, OSError) as error:
        raise DeviceError(
            "TensorRT is installed here, and its libraries do not load: "
            f"{safe_text(str(error), 200)}. Install it anew with: {_install()}"
        ) from error


def _require_driver() -> None:
    """Raise DeviceError where the driver is for an older CUDA than the installed library."""
    driver = driver_version()
    if driver is None:
        return
    package, needed = _built_for()
    if cuda_major(driver) >= needed:
        return
    older = (
        f", or {TENSORRT_PACKAGE}{_SUFFIX}{cuda_major(driver)} in its place"
        if cuda_major(driver) >= _OLDEST
        else ""
    )
    raise DeviceError(
        f"The NVIDIA driver here is for CUDA {cuda_words(driver)}, and {package} needs one for "
        f"CUDA {needed}.0 or later. Install such a driver{older}."
    )


def _built_for() -> tuple[str, int]:
    """The package that brings the library and the CUDA that it needs; the oldest where unknown."""
    for name in TENSORRT_PACKAGES:
        major = name.partition(_SUFFIX)[2]
        if major:
            try:
                return f"{name} {metadata.version(name)}", int(major)
            except metadata.PackageNotFoundError:
                continue
    return "TensorRT", _OLDEST


def _install() -> str:
    """The package for this driver."""
    driver = driver_version()
    major = _NEWEST if driver is None else min(_NEWEST, cuda_major(driver))
    return (
        f"pip install {TENSORRT_PACKAGE}{_SUFFIX}{major}. It gets its libraries from NVIDIA's own "
        "package index; on a Jetson they are part of JetPack"
    )
