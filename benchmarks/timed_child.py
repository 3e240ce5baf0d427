"""One round: open a model in this fresh process, warm up, time requests, say the median in ms.

Usage: timed_child.py ENGINE MODEL LENGTH THREADS REQUESTS CLOCK [DISABLED_OPTIMIZER ...]
ENGINE is onnxruntime or openvino; CLOCK is wall or cpu (cpu needs one thread: it leaves out what
neighbours take).
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np

Run = Callable[[], object]


def main() -> None:
    """Print one JSON object: median and least milliseconds, and the peak resident megabytes."""
    engine, model, length, threads, requests, clock, *disabled = sys.argv[1:]
    random = np.random.default_rng(0)
    feed = {
        "input_ids": random.integers(0, 30_000, (1, int(length))),
        "attention_mask": np.ones((1, int(length)), np.int64),
    }
    opener = onnxruntime_run if engine == "onnxruntime" else openvino_run
    run = opener(model, int(threads), disabled, feed)
    read = time.thread_time_ns if clock == "cpu" else time.perf_counter_ns
    for _ in range(10):
        run()
    taken = []
    for _ in range(int(requests)):
        start = read()
        run()
        taken.append(read() - start)
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 a file of the kernel
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(json.dumps([float(np.median(taken)) / 1e6, min(taken) / 1e6, peak / 1e3]))


def onnxruntime_run(
    model: str, threads: int, disabled: list[str], feed: dict[str, np.ndarray]
) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"], disabled_optimizers=disabled
    )
    return lambda: session.run(None, feed)


def openvino_run(
    model: str, threads: int, _disabled: list[str], feed: dict[str, np.ndarray]
) -> Run:
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    return lambda: request.infer(feed)


if __name__ == "__main__":
    main()
