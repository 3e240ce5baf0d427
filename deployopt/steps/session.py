"""How ONNX Runtime opens what the steps make: options that were measured, not assumed."""

from typing import Final

import msgspec

from deployopt.core.artifact import SessionOptions
from deployopt.core.card import PLAN, TENSORRT
from deployopt.core.engine import InputRange

CPU_SESSION: Final = SessionOptions(disabled_optimizers=("SkipLayerNormFusion",))
"""The fused kernel of addition and layer norm is slower on a CPU than the two by themselves."""

REQUANTIZING: Final = "WeightBiasQuantization"
"""Left on, the runtime quantizes the weights of a convolution or Gemm between Q/DQ pairs while it
opens the file, by one scale for all: a layer that was kept in float would not be."""

STATIC_SESSION: Final = SessionOptions(
    disabled_optimizers=(*CPU_SESSION.disabled_optimizers, REQUANTIZING)
)

_UNDOING_RELU: Final = "ReluQuantRewrite"
"""Takes a Relu away before pairs that end at nought, and before float8's, which do not."""

GRAPH_SESSION: Final = SessionOptions(
    disabled_optimizers=(*STATIC_SESSION.disabled_optimizers, _UNDOING_RELU),
    config_entries={"session.disable_quant_qdq": "1"},
)
"""For an engine's graph, asked in its place: Q/DQ pairs are worked out as they stand, in float.

Sums of products of whole numbers are exact in it, and signed pairs have slow kernels on a CPU.
"""


def card_session(
    provider: str,
    profile: tuple[InputRange, ...] = (),
    *,
    tf32: bool = False,
    capture: bool = False,
) -> SessionOptions:
    """On a card every fusion of the provider is wanted; what was measured of CPUs is no rule there.

    TensorRT takes Q/DQ pairs as they stand, and makes products of whole numbers of them itself.
    """
    captured = capture or msgspec.UNSET
    if provider == PLAN:
        return SessionOptions(profile=profile or msgspec.UNSET, tf32=tf32 or msgspec.UNSET)
    if provider != TENSORRT:
        return SessionOptions(tf32=tf32 or msgspec.UNSET, capture=captured)
    return SessionOptions(
        disabled_optimizers=(REQUANTIZING,),
        config_entries=GRAPH_SESSION.config_entries,
        profile=profile or msgspec.UNSET,
        capture=captured,
    )
