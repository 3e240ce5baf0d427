"""Is OpenVINO's int8 form as fast as ONNX Runtime's, at fixed and at changing lengths?

Usage: python -m benchmarks.bench_runtimes [--model DIR] [--laps 20] [--core 1] [--json F]

DistilBERT at its true shape with random weights, or a folder's model (a ResNet for one). The forms
that `build` makes for `x86-cpu`, opened as they ship, on one thread of one core, in one process:
every request goes to all forms, their order drawn by lot, and what counts is the median over
requests of the time beside int8's, by the thread's own processor time, so that neighbours count
little. Texts at 128 tokens, at 32, and at lengths that change from request to request, as those of
short film reviews do. Load time and peak memory are those of a fresh process for each form.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.bench_int8_routes import random_distilbert
from benchmarks.environment import environment
from deployopt.core.artifact import Artifact, Format, RuntimeName, SessionOptions
from deployopt.core.interface import ImageInputs, Interface, Task, TextInputs
from deployopt.core.recipe import StepContext
from deployopt.core.samples import Feed, encode_samples
from deployopt.device.machine import describe_machine
from deployopt.device.readings import peak_rss_bytes
from deployopt.device.session import import_runtime, open_session
from deployopt.device.setup import Setup, setup_of
from deployopt.pipeline.recipes import INT8, arithmetic_for, forms_for, recipes_for
from deployopt.planning.targets import load_target

LENGTHS = (
    9, 11, 12, 14, 15, 16, 17, 18, 19, 20, 20, 21, 22, 23, 23, 24, 25, 25, 26, 26, 27, 28, 28, 29,
    30, 31, 32, 33, 34, 36, 37, 39, 41, 43, 46, 50, 55, 62,
)  # fmt: skip
"""Tokens: quantiles of short film reviews."""
CALIBRATION = 24


def main() -> None:
    """Make the forms, time them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, help="a folder in Hugging Face form")
    parser.add_argument("--laps", type=int, default=20)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--alone", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})
    if options.alone:
        alone(*options.alone)
        return
    with tempfile.TemporaryDirectory() as scratch:
        setups = made(options.model, Path(scratch))
        images = images_of(options.model)
        found = {name: paired(setups, feeds, options.laps) for name, feeds in asked(images=images)}
        loads = {name: loaded(setup, images=images) for name, setup in setups.items()}
    report(found, loads, options.json)


def images_of(model: Path | None) -> bool:
    """Whether the model takes images."""
    if model is None:
        return False
    config = json.loads((model / "config.json").read_bytes())
    return "num_channels" in config


def asked(*, images: bool) -> list[tuple[str, list[Feed]]]:
    """The workloads by name."""
    if images:
        return [("1 x 3 x 224 x 224", [image(seed) for seed in range(4)])]
    return [
        ("128 tokens", [text(128, seed) for seed in range(4)]),
        ("32 tokens", [text(32, seed) for seed in range(4)]),
        ("changing lengths", [text(n, seed) for seed, n in enumerate(LENGTHS)]),
    ]


def text(tokens: int, seed: int) -> Feed:
    """A request of made-up words."""
    ids = np.random.default_rng(seed).integers(1_000, 30_000, (1, tokens))
    return {"input_ids": ids, "attention_mask": np.ones((1, tokens), np.int64)}


def image(seed: int) -> Feed:
    """A request of noise."""
    noise = np.random.default_rng(seed).standard_normal((1, 3, 224, 224))
    return {"pixel_values": noise.astype(np.float32)}


def made(model: Path | None, folder: Path) -> dict[str, Setup]:
    """Every form that `build` would try here, by name."""
    target = load_target("x86-cpu")
    images = images_of(model)
    source = random_distilbert(folder / "distilbert")
    if model is not None:
        source = Artifact(
            format=Format.TRANSFORMERS, folder=model.absolute(), entry="config.json", digest=""
        )
    samples = folder / "samples.npz"
    lot = random.Random(0)  # noqa: S311 -- an order, not a secret
    feeds = [image(n) for n in range(CALIBRATION)]
    if not images:
        feeds = [text(lot.choice(LENGTHS), 100 + n) for n in range(CALIBRATION)]
    samples.write_bytes(encode_samples(feeds))
    arithmetic = arithmetic_for(target, describe_machine())
    print(arithmetic.reason, file=sys.stderr)
    forms = forms_for(source, target, arithmetic, convolutional=images)
    artifacts: dict[str, Artifact] = {}
    setups = {}
    for recipe in recipes_for(source, target, forms):
        artifact = source
        for step in recipe.steps:
            key = f"{artifact.folder.name}-{step.name}"
            if key not in artifacts:
                work = folder / key
                work.mkdir()
                context = StepContext(
                    workdir=work, interface=interface(images=images), samples=samples, threads=1
                )
                artifacts[key] = step.run(artifact, context)
            artifact = artifacts[key]
        one = setup_of(artifact, target, describe_machine(), ("logits",))
        setups[recipe.name] = Setup(
            artifact="", model=one.model, session=one.session, runtime=one.runtime, threads=1
        )
    return setups


def interface(*, images: bool) -> Interface:
    """What goes in and comes out."""
    inputs = (
        ImageInputs(input_name="pixel_values", height=224, width=224)
        if images
        else TextInputs(max_length=512)
    )
    task = Task.IMAGE_CLASSIFICATION if images else Task.TEXT_CLASSIFICATION
    return Interface(task=task, inputs=inputs, outputs=("logits",), labels=())


def paired(setups: dict[str, Setup], feeds: Sequence[Feed], laps: int) -> dict[str, list[float]]:
    """Milliseconds of each form by request, the first laps left out."""
    sessions = {name: open_session(setup) for name, setup in setups.items()}
    lot = random.Random(1)  # noqa: S311
    taken: dict[str, list[float]] = {name: [] for name in sessions}
    least = max(3, -(-60 // len(feeds)))
    for lap in range(least + max(laps, -(-laps * 4 // len(feeds)))):
        for feed in lot.sample(list(feeds), len(feeds)):
            for name in lot.sample(list(sessions), len(sessions)):
                start = time.thread_time_ns()
                sessions[name].run(["logits"], feed)
                if lap >= least:
                    taken[name].append((time.thread_time_ns() - start) / 1e6)
    return taken


def loaded(setup: Setup, *, images: bool) -> tuple[float, float]:
    """Seconds to open and megabytes at most, in a process of its own, all workloads asked."""
    words = [setup.runtime, str(setup.model), str(images), *setup.session.disabled_optimizers]
    command = [sys.executable, "-m", "benchmarks.bench_runtimes", "--alone", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    load_s, peak_mb = json.loads(done.stdout)
    return load_s, peak_mb


def alone(runtime: RuntimeName, model: str, images: str, *disabled: str) -> None:
    """What `loaded` starts: prints the two as JSON."""
    import_runtime(runtime)
    setup = Setup(
        artifact="",
        model=Path(model),
        runtime=runtime,
        threads=1,
        session=SessionOptions(disabled_optimizers=disabled),
    )
    start = time.perf_counter_ns()
    session = open_session(setup)
    load_s = (time.perf_counter_ns() - start) / 1e9
    for _, feeds in asked(images=images == "True"):
        for feed in feeds:
            session.run(["logits"], feed)
    print(json.dumps([load_s, peak_rss_bytes() / 1e6]))


def report(
    found: dict[str, dict[str, list[float]]],
    loads: dict[str, tuple[float, float]],
    where: Path | None,
) -> None:
    """A table a workload: median ms, and the median over requests of the time beside int8's."""
    for workload, taken in found.items():
        print(f"batch 1, {workload}, 1 thread: median of {len(taken[INT8])} requests")
        print(f"{'form':16s} {'ms':>8s} {'time / int8':>12s} {'load s':>8s} {'peak MB':>8s}")
        for name, times in taken.items():
            ratios = [a / b for a, b in zip(times, taken[INT8], strict=True)]
            load_s, peak = loads[name]
            print(
                f"{name:16s} {statistics.median(times):8.2f} {statistics.median(ratios):12.3f} "
                f"{load_s:8.2f} {peak:8.0f}"
            )
    if where is not None:
        document = {"environment": environment(), "milliseconds": found, "load_s_peak_mb": loads}
        where.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
