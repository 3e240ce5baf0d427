"""The confined process that reads pickled weights where `--unsafe-load-pickle` allows it.

In: the files. Out: the same tensors as the bytes of one safetensors file. Even here torch's reader
for weights alone is used: a pickle that holds anything but tensors and plain containers is refused.
"""

from pathlib import Path

import msgspec
import safetensors.torch
import torch

from deployopt.confinement.child import main_if
from deployopt.core.errors import RefusedInputError

_WRAPPERS = ("state_dict", "model_state_dict", "model")


def answer(question: bytes) -> bytes:
    """Read the files that are named."""
    tensors: dict[str, torch.Tensor] = {}
    for name in msgspec.json.decode(question, type=tuple[str, ...]):
        tensors |= _tensors(Path(name))
    written: bytes = safetensors.torch.save(tensors, metadata={"format": "pt"})
    return written


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    for wrapper in _WRAPPERS:
        inner = loaded.get(wrapper) if isinstance(loaded, dict) else None
        loaded = inner if isinstance(inner, dict) else loaded
    if not isinstance(loaded, dict) or not loaded:
        raise RefusedInputError(f"{path} holds no tensors by name.")
    odd = [str(name) for name, value in loaded.items() if not isinstance(value, torch.Tensor)]
    if odd:
        raise RefusedInputError(f"{path} holds {odd[0][:100]!r}, which is no tensor.")
    # Weights that are tied share their memory, which safetensors does not write.
    return {str(name): value.detach().clone().contiguous() for name, value in loaded.items()}


main_if(__name__, answer)
