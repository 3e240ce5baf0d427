"""The most memory that training took: of the process on a CPU, of torch on a GPU."""

import resource
from pathlib import Path
from typing import Final

import torch

_STATUS: Final = Path("/proc/self/status")
_KIB: Final = 1024
ON_CPU: Final = "the most memory that the process held (RSS)"
ON_GPU: Final = "the most CUDA memory that torch reserved, without its context"


def peak_memory() -> tuple[float, str]:
    """Bytes, and what they are of."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_reserved()), ON_GPU
    if _STATUS.exists():
        for line in _STATUS.read_text("ascii", "replace").splitlines():
            # Unlike ru_maxrss it does not begin with what the parent process held.
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) * _KIB, ON_CPU
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * _KIB, ON_CPU
