"""OpenVINO and NNCF as they are imported and opened here: silent, and the same everywhere.

Importing either reports it to their makers and writes into the home folder where the package
openvino_telemetry is installed, which both depend on; both do without where it cannot be imported.
"""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

_TELEMETRY: Final = "openvino_telemetry"

OPENVINO_VERSIONS: Final = ">=2026.4,<2027"
"""Those that were tried; as the extra `openvino` of this package asks for them."""
GENAI_VERSIONS: Final = ">=0.18,<0.19"
"""Those of onnxruntime-genai; as the extra `chat` asks for them."""
GENAI_PACKAGES: Final = ("onnxruntime-genai", "onnxruntime-genai-cuda")
"""Both are imported by the same name; the second runs on CUDA cards too."""
RTX_VERSIONS: Final = ">=1.7,<1.8"
"""Those of tensorrt-rtx-cu13; as the extra `tensorrt-rtx` asks for them."""
RTX_PACKAGE: Final = "tensorrt-rtx-cu13"
OpenvinoSettings = Mapping[str, str | int | bool]


@contextmanager
def imported_quietly() -> Iterator[None]:
    """Import openvino and nncf within: no message is sent, no file written, logging left alone."""
    before = sys.modules.get(_TELEMETRY)
    kind = logging.getLoggerClass()
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment] # what import takes for "not there"
    try:
        yield
    finally:
        logging.setLoggerClass(kind)
        del sys.modules[_TELEMETRY]
        if before is not None:
            sys.modules[_TELEMETRY] = before


def openvino_missing(why: str) -> str:
    """The paragraph for whoever has a model for OpenVINO and no OpenVINO."""
    return (
        f"The model runs on OpenVINO, which cannot be used here: {why}. Install it with: "
        f"pip install 'openvino{OPENVINO_VERSIONS}'"
    )


def genai_missing(why: str) -> str:
    """The paragraph for whoever has a language model and nothing to run it."""
    return (
        f"The model runs on onnxruntime-genai, which cannot be used here: {why}. Install it with: "
        "pip install 'deployopt[chat]'"
    )


def openvino_settings(threads: int) -> OpenvinoSettings:
    """One request at a time on this many threads, all sums in float32, nothing kept on disk.

    Threads are not tied to cores, as a neighbour may sit on them, and two threads of one core count
    as two, as they do for other runtimes.
    """
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,
        "ENABLE_HYPER_THREADING": True,
        "CACHE_DIR": "",
    }
