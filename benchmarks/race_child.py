"""One runner of a race: opens a model in this fresh process and answers as the parent says.

Usage: race_child.py SPEC (a JSON object: benchmarks.racing.Spec). It warms up, prints `ready`, and
then answers each line of stdin with one of stdout: a list of request numbers is timed, one after
another, and gives `[[wall ns, processor ns], …]`; `answers` and
`answers N` give the class of every request, or of the first N.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks.racing import Spec
from deployopt.core.quiet import imported_quietly
from deployopt.core.samples import Array, Feed, decode_samples
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.session import open_session

Run = Callable[[Feed], npt.NDArray[np.float32]]
WARM_UP = 30


def main() -> None:
    """Open, warm up, answer until stdin ends."""
    spec = msgspec.json.decode(sys.argv[1], type=Spec)
    os.sched_setaffinity(0, spec.cores)
    feeds = decode_samples(Path(spec.feeds))
    run = bundle_run(spec) if spec.bundle else RUNS[spec.engine](spec)
    for at in range(WARM_UP):
        run(feeds[at % len(feeds)])
    print("ready", flush=True)
    for line in sys.stdin:
        if line.startswith("answers"):
            counts = [int(word) for word in line.split()[1:]]
            asked = feeds[: counts[0]] if counts else feeds
            print(json.dumps([int(run(feed).argmax()) for feed in asked]), flush=True)
        else:
            print(json.dumps([timed(run, feeds[at]) for at in json.loads(line)]), flush=True)


def timed(run: Run, feed: Mapping[str, Array]) -> tuple[int, int]:
    """Nanoseconds of the clock and of the processor."""
    wall, used = time.perf_counter_ns(), time.process_time_ns()
    run(feed)
    return time.perf_counter_ns() - wall, time.process_time_ns() - used


def torch_run(spec: Spec) -> Run:
    """The folder in Hugging Face form, eager or compiled; on a card as everybody writes it."""
    import torch
    import transformers

    torch.set_num_threads(spec.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    kind = getattr(transformers, spec.torch_class)
    model = kind.from_pretrained(spec.model).eval().to(spec.device)
    if spec.compiled:
        model = torch.compile(model, mode="max-autotune")
    kinds = {"cuda": torch.float16, "cpu": torch.bfloat16}

    def run(feed: Feed) -> npt.NDArray[np.float32]:
        with (
            torch.inference_mode(),
            torch.autocast(spec.device, kinds[spec.device], enabled=spec.half),
        ):
            tensors = {name: torch.from_numpy(a).to(spec.device) for name, a in feed.items()}
            # Copying the answer back waits for the card.
            logits: npt.NDArray[np.float32] = model(**tensors).logits.float().cpu().numpy()
        return logits

    return run


def onnxruntime_run(spec: Spec) -> Run:
    """As anyone would open it, but for what the artifact asks."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = spec.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    for key, value in spec.entries.items():
        options.add_session_config_entry(key, value)
    session = onnxruntime.InferenceSession(
        spec.model,
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=list(spec.disabled),
    )
    names = {one.name for one in session.get_inputs()}
    outputs = list(spec.outputs) or None

    def run(feed: Feed) -> npt.NDArray[np.float32]:
        logits: npt.NDArray[np.float32] = session.run(outputs, {n: feed[n] for n in names})[0]
        return logits

    return run


def openvino_run(spec: Spec) -> Run:
    """For one request at a time, with so many threads."""
    with imported_quietly():
        import openvino

    settings: dict[str, object] = {
        "INFERENCE_NUM_THREADS": spec.threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        **spec.entries,
    }
    request = openvino.Core().compile_model(spec.model, "CPU", settings).create_infer_request()

    def run(feed: Feed) -> npt.NDArray[np.float32]:
        logits: npt.NDArray[np.float32] = request.infer(feed, share_inputs=True)[0]
        return logits

    return run


def bundle_run(spec: Spec) -> Run:
    """A bundle's model where its target says, such as an engine or a graph on its card."""
    setup = open_bundle(Path(spec.bundle)).setup
    if not spec.captured:
        plain = msgspec.structs.replace(setup.session, capture=msgspec.UNSET)
        setup = msgspec.structs.replace(setup, session=plain)
    session = open_session(msgspec.structs.replace(setup, threads=spec.threads))

    def run(feed: Feed) -> npt.NDArray[np.float32]:
        logits: npt.NDArray[np.float32] = session.run(spec.outputs, feed)[0]
        return logits

    return run


RUNS = {
    "torch": torch_run,
    "onnxruntime": onnxruntime_run,
    "openvino": openvino_run,
}

if __name__ == "__main__":
    main()
