"""Where training happens on this machine."""

import importlib.util

import torch


def on_gpu() -> bool:
    """Whether torch has a CUDA device."""
    return bool(torch.cuda.is_available())


def gains_from_bf16() -> bool:
    """Whether bf16 arithmetic is faster: on GPUs with units for it; CPUs train in fp32."""
    return on_gpu() and bool(torch.cuda.is_bf16_supported(including_emulation=False))


def trains_in_four_bits() -> bool:
    """Whether a base can be held in 4 bits: bitsandbytes, on a CUDA GPU."""
    return on_gpu() and importlib.util.find_spec("bitsandbytes") is not None


def compute_threads() -> int:
    """Threads that torch computes with, by its own choice or OMP_NUM_THREADS."""
    return int(torch.get_num_threads())
