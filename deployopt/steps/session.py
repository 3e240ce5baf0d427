"""How ONNX Runtime opens what the steps make: options that were measured, not assumed."""

from typing import Final

from deployopt.core.artifact import SessionOptions

CPU_SESSION: Final = SessionOptions(disabled_optimizers=("SkipLayerNormFusion",))
"""The fused kernel of addition and layer norm is slower on a CPU than the two by themselves."""
