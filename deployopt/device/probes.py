"""How fast this machine is: copying memory, and multiplying matrices in float and in 8 bits.

In: a number of threads. Out: bytes or operations a second, the best of several tries, as anything
slower was someone else's doing. The products run in ONNX Runtime, whose speed is the one that
counts; the two graphs are one node each, `c = a @ b`, and kept here as bytes.
"""

import base64
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import onnxruntime

from deployopt.core.samples import Array

COPY_BYTES: Final = 64 * 2**20
"""An array well beyond any cache of a small device."""
SIDE: Final = 768
TRIES: Final = 7
_QUIET: Final = 4
_NS_PER_S: Final = 1_000_000_000
_MATMUL: Final = (
    "CAcSADpbChEKAWEKAWISAWMiBk1hdE11bBIBcFoVCgFhEhAKDggBEgoKAxIBbQoDEgFrWhUKAWISEAoOCAESCgoDEgFr"
    "CgMSAW5iFQoBYxIQCg4IARIKCgMSAW0KAxIBbkIECgAQDQ=="
)
_MATMUL_INTEGER: Final = (
    "CAcSADpiChgKAWEKAWISAWMiDU1hdE11bEludGVnZXISAXBaFQoBYRIQCg4IAhIKCgMSAW0KAxIBa1oVCgFiEhAKDggD"
    "EgoKAxIBawoDEgFuYhUKAWMSEAoOCAYSCgoDEgFtCgMSAW5CBAoAEA0="
)


def copy_bandwidth(threads: int, size_bytes: int = COPY_BYTES) -> float:
    """Bytes a second, read and written, of copying large arrays on all threads at once."""
    sources = [np.ones(size_bytes // threads, dtype=np.uint8) for _ in range(threads)]
    copies = [np.empty_like(source) for source in sources]
    with ThreadPoolExecutor(threads) as pool:
        best = _best_s(lambda: list(pool.map(np.copyto, copies, sources)))
    return 2 * sum(source.nbytes for source in sources) / best


def float_rate(threads: int, side: int = SIDE) -> float:
    """Operations a second of a float32 product, a multiply-add counted as two."""
    random = np.random.default_rng(0)
    a = random.standard_normal((side, side), dtype=np.float32)
    return _product_rate(_MATMUL, a, a, threads)


def int8_rate(threads: int, side: int = SIDE) -> float:
    """Operations a second of an unsigned-by-signed 8-bit product."""
    random = np.random.default_rng(0)
    a = random.integers(0, 255, (side, side), dtype=np.uint8)
    b = random.integers(-127, 127, (side, side), dtype=np.int8)
    return _product_rate(_MATMUL_INTEGER, a, b, threads)


def _product_rate(model: str, a: Array, b: Array, threads: int) -> float:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET
    session = onnxruntime.InferenceSession(
        base64.b64decode(model), options, providers=["CPUExecutionProvider"]
    )
    best = _best_s(lambda: session.run(None, {"a": a, "b": b}))
    return float(2 * a.shape[0] * a.shape[1] * b.shape[1] / best)


def _best_s(work: Callable[[], object]) -> float:
    work()
    best = None
    for _ in range(TRIES):
        start = time.perf_counter_ns()
        work()
        spent = max(time.perf_counter_ns() - start, 1)
        best = spent if best is None else min(best, spent)
    return (best or 1) / _NS_PER_S
