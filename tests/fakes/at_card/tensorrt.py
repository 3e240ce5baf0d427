"""The Python API of TensorRT on TensorRT for RTX, which builds without a card.

What the other library alone has is not here: an engine for a named compute capability. Opening one
needs the card in both.
"""

import tensorrt_rtx
from tensorrt_rtx import (  # noqa: F401 -- the API that is used
    BuilderFlag,
    DataType,
    ILogger,
    Logger,
    MemoryPoolType,
    NetworkDefinitionCreationFlag,
    OnnxParser,
    ProfilingVerbosity,
    Runtime,
    __version__,
)


class Builder(tensorrt_rtx.Builder):  # type: ignore[misc] # of a native library
    """One that takes no word of a compute capability, as if this machine had an SM86 card."""

    def create_builder_config(self) -> tensorrt_rtx.IBuilderConfig:
        """For the card of this machine."""
        config = super().create_builder_config()
        config.num_compute_capabilities = 1
        config.set_compute_capability(tensorrt_rtx.ComputeCapability.SM86, 0)
        return config
