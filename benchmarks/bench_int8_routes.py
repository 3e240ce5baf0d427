"""Is our int8 artifact of DistilBERT at its true shape as fast as the fastest ONNX Runtime route?

Usage: python benchmarks/bench_int8_routes.py [--rounds 8] [--length 128] [--threads 2] [--json F]

Random weights, batch 1. Routes: the plain export in float; ONNX Runtime's quantize_dynamic on it,
per tensor and per channel; on the transformer-fused graph; on the graph with query, key and value
merged, opened without SkipLayerNorm (the fastest ONNX Runtime route known); ours; OpenVINO int8
through NNCF where both are installed. Rounds are fresh processes, the routes' order turning each
time; ratios are medians of the rounds' own. On a busy machine use --threads 1 --clock cpu.
"""

import argparse
import json
import logging
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from deployopt.core.artifact import Artifact, Format
from deployopt.core.interface import Interface, Task, TextInputs
from deployopt.core.recipe import Step, StepContext
from deployopt.steps.export import Export
from deployopt.steps.optimize import Optimize
from deployopt.steps.quantize import QuantizeDynamic

INTERFACE = Interface(
    task=Task.TEXT_CLASSIFICATION,
    inputs=TextInputs(max_length=512),
    outputs=("logits",),
    labels=("negative", "positive"),
)
NO_SKIP = ("SkipLayerNormFusion",)
OURS = "deployopt int8"
BEST = "ORT quantize_dynamic, QKV merged, no SkipLayerNorm"

Route = tuple[str, Path, tuple[str, ...]]
"""Engine, model and disabled optimizers."""


def main() -> None:
    """Build every route, time them in turns, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as scratch:
        routes = built(Path(scratch))
        rounds = timed(routes, options)
    report(rounds, options)


def built(folder: Path) -> dict[str, Route]:
    """Each route's model file."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    plain, merged, ours, per_tensor = steps(random_distilbert(folder / "distilbert"), folder)
    routes: dict[str, Route] = {
        OURS: ("onnxruntime", ours, NO_SKIP),
        f"{OURS}, per tensor": ("onnxruntime", per_tensor, NO_SKIP),
        "ORT fp32, plain export": ("onnxruntime", plain, ()),
    }
    for name, source, per_channel, disabled in (
        (BEST, merged, False, NO_SKIP),
        ("ORT quantize_dynamic, plain", plain, False, ()),
        ("ORT quantize_dynamic, plain, per channel", plain, True, ()),
        ("ORT quantize_dynamic, fused graph", fused(plain, folder), False, ()),
    ):
        path = folder / f"{len(routes)}.onnx"
        extra = {"DefaultTensorType": 1} if "fused" in name else {}
        quantize_dynamic(
            source,
            path,
            per_channel=per_channel,
            weight_type=QuantType.QInt8,
            extra_options=extra,
        )
        routes[name] = ("onnxruntime", path, disabled)
    if find_spec("openvino") and find_spec("nncf"):
        routes["OpenVINO int8 (NNCF)"] = ("openvino", openvino_int8(plain, folder), ())
    return routes


def random_distilbert(folder: Path) -> Artifact:
    """DistilBERT-base's shape with random weights: honest for speed and size."""
    import torch
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    torch.manual_seed(0)
    DistilBertForSequenceClassification(DistilBertConfig()).save_pretrained(folder)
    return Artifact(format=Format.TRANSFORMERS, folder=folder, entry="config.json", digest="")


def steps(source: Artifact, folder: Path) -> tuple[Path, Path, Path, Path]:
    """The files of export, of merged products only, of the recipe, and of it per tensor."""
    from deployopt.graph.reading import load_onnx
    from deployopt.graph.rewrite_qkv import merge_shared_matmuls
    from deployopt.graph.writing import save_onnx

    exported = ran(Export(), source, folder / "export")
    optimized = ran(Optimize(), exported, folder / "optimize")
    ours = ran(QuantizeDynamic(), optimized, folder / "ours")
    per_tensor = ran(QuantizeDynamic(per_channel=False), optimized, folder / "per-tensor")
    model = load_onnx(exported.path, trusted=True)
    merge_shared_matmuls(model)
    save_onnx(model, folder / "merged.onnx")
    return exported.path, folder / "merged.onnx", ours.path, per_tensor.path


def ran(step: Step, source: Artifact, folder: Path) -> Artifact:
    """What the step makes in this folder."""
    folder.mkdir()
    return step.run(source, StepContext(workdir=folder, interface=INTERFACE, threads=2))


def fused(plain: Path, folder: Path) -> Path:
    """ONNX Runtime's own transformer optimizer."""
    from onnxruntime.transformers.optimizer import optimize_model

    model = optimize_model(str(plain), "bert", num_heads=12, hidden_size=768)
    model.save_model_to_file(str(folder / "fused.onnx"))
    return folder / "fused.onnx"


def openvino_int8(plain: Path, folder: Path) -> Path:
    """NNCF's static int8 for transformers, calibrated on random requests."""
    import nncf
    import openvino

    random = np.random.default_rng(1)
    requests = [
        {
            "input_ids": random.integers(0, 30_000, (1, 128)),
            "attention_mask": np.ones((1, 128), np.int64),
        }
        for _ in range(32)
    ]
    model = openvino.convert_model(plain)
    quantized = nncf.quantize(
        model,
        nncf.Dataset(requests),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED,
    )
    openvino.save_model(quantized, folder / "openvino.xml")
    return folder / "openvino.xml"


def timed(routes: dict[str, Route], options: argparse.Namespace) -> dict[str, list[list[float]]]:
    """Rounds of each route: median ms, least ms, peak MB."""
    names = list(routes)
    rounds: dict[str, list[list[float]]] = {name: [] for name in names}
    child = Path(__file__).with_name("timed_child.py")
    settings = [str(v) for v in (options.length, options.threads, options.requests, options.clock)]
    for number in range(options.rounds):
        turn = number % len(names)
        for name in (*names[turn:], *names[:turn]):
            engine, model, disabled = routes[name]
            command = [sys.executable, str(child), engine, str(model), *settings, *disabled]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            rounds[name].append(json.loads(answer.stdout))
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    return rounds


def report(rounds: dict[str, list[list[float]]], options: argparse.Namespace) -> None:
    """A table by the ratio to ours, and the raw rounds as JSON."""
    table = []
    for name, values in rounds.items():
        ratios = [a[0] / b[0] for a, b in zip(values, rounds[OURS], strict=True)]
        least, peak = min(v[0] for v in values), max(v[2] for v in values)
        table.append((statistics.median(ratios), name, least, peak))
    print(f"batch 1, {options.length} tokens, {options.threads} threads, {options.clock} clock")
    print(f"{'route':52s} least p50 ms   peak MB   time / ours")
    for ratio, name, least, peak in sorted(table):
        print(f"{name:52s} {least:12.2f} {peak:9.0f} {ratio:13.3f}")
    if options.json:
        packages = ("onnxruntime", "onnx", "torch", "transformers", "numpy")
        document = {
            "question": __doc__.partition("\n")[0] if __doc__ else "",
            "options": {k: str(v) for k, v in vars(options).items()},
            "environment": {
                "machine": platform.platform(),
                "python": platform.python_version(),
                "cpu": cpu_name(),
                **{name: version(name) for name in packages},
            },
            "rounds_median_least_ms_peak_mb": rounds,
        }
        options.json.write_text(json.dumps(document, indent=1))


def cpu_name() -> str:
    """As the kernel names it."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")


if __name__ == "__main__":
    main()
