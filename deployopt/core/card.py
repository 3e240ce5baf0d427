"""A graph for a card that need not be here: what it was made for, and whether it has run.

It is no native code: any card of the provider opens it. What it takes there is predicted from the
target's numbers.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

CUDA: Final = "cuda"
TENSORRT: Final = "tensorrt"
"""ONNX Runtime's provider of that name."""
PLAN: Final = "tensorrt-plan"
"""TensorRT itself, which opens the plan that it builds of the graph on the card."""
CARD_PROVIDERS: Final = {CUDA: "CUDAExecutionProvider", TENSORRT: "TensorrtExecutionProvider"}
"""Of a target whose graphs ONNX Runtime opens on a card: its own names for them."""
GRAPH_PROVIDERS: Final = frozenset({*CARD_PROVIDERS, PLAN})
"""Of every target whose bundle holds a graph for a card."""
BUILT_THERE: Final = frozenset({TENSORRT, PLAN})
"""Those of which TensorRT builds kernels on the card, for the shapes that it is told."""
STAND_IN: Final = "the same graph, in ONNX Runtime on this machine's CPU: it has not run on a card"
"""What answers in the place of a graph for a card that is not here."""
CUDA_RUNTIME: Final = "onnxruntime-genai-cuda"
"""The package that opens a language model's bundle."""
ORT_GPU: Final = "onnxruntime-gpu"
"""The package that opens another model's."""
TENSORRT_PACKAGE: Final = "tensorrt"
"""The package that opens a plan; the others have the same module, for one CUDA each."""
TENSORRT_PACKAGES: Final = (TENSORRT_PACKAGE, "tensorrt-cu13", "tensorrt-cu12")
TENSORRT_INSTALL: Final = (
    "TensorRT: pip install tensorrt-cu13, or tensorrt-cu12 where the driver is for CUDA 12. Both "
    "get their libraries from NVIDIA's own package index; on a Jetson it is part of JetPack"
)
EXCHANGE: Final = f"pip uninstall -y onnxruntime {ORT_GPU} && pip install '{ORT_GPU}[cuda,cudnn]'"
"""Both packages own the same module, so that an install ends with exactly one of them."""

_BFLOAT16_FROM: Final = (8, 0)
_FLOAT8_FROM: Final = (8, 9)


def has_bfloat16(compute_capability: str) -> bool:
    """Whether cards of it have products of bfloat16, and of TF32: Ampere and later."""
    return _numbers(compute_capability) >= _BFLOAT16_FROM


def has_float8(compute_capability: str) -> bool:
    """Whether cards of it have products of float8: Ada, Hopper, Blackwell."""
    return _numbers(compute_capability) >= _FLOAT8_FROM


def _numbers(compute_capability: str) -> tuple[int, ...]:
    """`8.9` as (8, 9); nothing of a target without a card."""
    return tuple(int(part) for part in compute_capability.split(".") if part)


def tensorrt_version(packages: Mapping[str, str]) -> str | None:
    """Of a machine's packages; None where it has no TensorRT that pip knows of."""
    return next((packages[name] for name in TENSORRT_PACKAGES if name in packages), None)


class CardNote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bundle's manifest says of it."""

    provider: str
    compute_capability: str
    """Of the card that times and memory were predicted for."""
    runtime: str
    version: str
    """Of the runtime whose builder wrote the graph, or that was asked in the card's place."""
    ran: bool = False
    """Whether it had run on such a card when the bundle was written."""


class CardSummary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a report shows of a form that is not run where it is built."""

    compute_capability: str
    version: str
    answer_s: float | None = None
    """Predicted, of a whole answer: what forms are chosen by; seconds."""
    answer_tokens: int | None = None
    """Of a language model."""
    prompt_tokens: int | None = None
    notes: tuple[str, ...] = ()
    ran: bool = False
