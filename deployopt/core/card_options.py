"""How ONNX Runtime opens a graph on a card: options by the names of its providers.

TensorRT has none for TF32, which it uses unless the process's environment forbids it.

The same wherever it is opened, so that what serves is what was measured.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from deployopt.core.artifact import SessionOptions
from deployopt.core.card import CUDA, TENSORRT

CUDA_OPTIONS: Final = {
    # As much as is asked for: the peak is then the model's, and not that of doubling an arena.
    "arena_extend_strategy": "kSameAsRequested",
    # A search by time may end differently in every process, and answers are compared among them.
    "cudnn_conv_algo_search": "HEURISTIC",
    # fp32 is fp32, unless the session says that its products may be shorter.
    "use_tf32": "0",
}


CAPTURE: Final = {CUDA: "enable_cuda_graph", TENSORRT: "trt_cuda_graph_enable"}
"""Launch as one CUDA graph what was captured of a request, which has to be of the same shape."""
UNCAPTURED: Final = ("gpu_graph_id", "-1")
"""Of one request: it neither captures anything nor is what was captured."""

TF32_OFF: Final = ("NVIDIA_TF32_OVERRIDE", "0")
"""For TensorRT, a variable of the environment, to be set before its library is loaded."""


def cuda_options(session: SessionOptions) -> dict[str, str]:
    """Of the CUDA provider, as the session has them."""
    return {**CUDA_OPTIONS, "use_tf32": "1"} if session.tf32 is True else {**CUDA_OPTIONS}


def capture_options(provider: str, session: SessionOptions) -> dict[str, str]:
    """What tells the provider to capture; nothing where the session is not to."""
    return {CAPTURE[provider]: "1"} if captures(session) else {}


def captures(session: SessionOptions) -> bool:
    """Whether it was measured so."""
    return session.capture is True


def profile_options(session: SessionOptions) -> dict[str, str]:
    """The shapes that TensorRT builds for; none where it is not told any.

    Precisions are the graph's own: without a flag for fp16 or int8 its network is strongly typed.
    """
    profile = session.profile
    if profile is msgspec.UNSET or not profile:
        return {}
    return {
        "trt_profile_min_shapes": _shapes((one.name, one.least) for one in profile),
        "trt_profile_opt_shapes": _shapes((one.name, one.usual) for one in profile),
        "trt_profile_max_shapes": _shapes((one.name, one.most) for one in profile),
    }


def _shapes(inputs: Iterable[tuple[str, tuple[int, ...]]]) -> str:
    """`input_ids:1x1,attention_mask:1x1`."""
    return ",".join(f"{name}:{'x'.join(map(str, sizes))}" for name, sizes in inputs)
