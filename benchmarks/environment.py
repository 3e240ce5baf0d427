"""What a benchmark ran on, to stand beside its figures."""

import os
import platform
from importlib import metadata
from typing import Final

PACKAGES: Final = ("deployopt", "onnxruntime", "onnx", "torch", "transformers", "numpy", "typer")


def environment() -> dict[str, object]:
    """Python, packages, cores, load: JSON."""
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": len(os.sched_getaffinity(0)),
        "load1": round(os.getloadavg()[0], 2),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"
