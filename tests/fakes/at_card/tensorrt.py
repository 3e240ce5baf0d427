"""The Python API of TensorRT on TensorRT for RTX, which builds without a card.

What the other library alone has is not here: a compute capability that is named. Opening what is
built needs the card in both.
"""

from tensorrt_rtx import (  # noqa: F401 -- the API that is used
    Builder,
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
