"""How long does a cold export, optimize and quantize take beside the least script that could do it?

Usage: python benchmarks/bench_cold_build.py [--rounds 3] [--json FILE]

DistilBERT-base's shape, random weights, one whole process each, in turns: bare_minimum.py, our
steps, and our steps with the float ONNX already made. Wall seconds and peak resident megabytes.
Budgets: within 1.3 x of the bare minimum; 3 s from the float model; peak below three float models
plus what the imports take.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
IMPORTS = (
    "import torch, onnx, onnxruntime; from transformers import DistilBertForSequenceClassification"
)
RANDOM_MODEL = (
    "import sys, transformers as t; "
    "t.DistilBertForSequenceClassification(t.DistilBertConfig()).save_pretrained(sys.argv[1])"
)


def main() -> None:
    """Time the processes in turns, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(
            [sys.executable, "-c", RANDOM_MODEL, str(folder / "model")],
            check=True,
            capture_output=True,
        )
        rounds = timed(folder, options.rounds)
        float_mb = (folder / "model/model.safetensors").stat().st_size / 1e6
    report(rounds, float_mb, options.json)


def timed(folder: Path, count: int) -> dict[str, list[tuple[float, float, float]]]:
    """Wall seconds, peak megabytes and processor seconds of each process in each round."""
    model, out = str(folder / "model"), folder / "out"
    kept = folder / "kept.onnx"
    commands = {
        "imports only": ["-c", IMPORTS],
        "bare minimum": [str(HERE / "bare_minimum.py"), model, str(out)],
        "deployopt, cold": [str(HERE / "cold_steps.py"), model, str(out)],
        "deployopt, from float": [str(HERE / "cold_steps.py"), model, str(out), str(kept)],
    }
    rounds: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for number in range(count + 1):
        for name, command in commands.items():
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            if name == "deployopt, from float" and not kept.exists():
                continue
            found = measured([sys.executable, *command])
            if number:  # the first round only warms the page cache
                rounds[name].append(found)
            made = out / "optimize/model.onnx"
            if made.exists() and not kept.exists():
                shutil.copyfile(made, kept)
        print(f"round {number} of {count}", file=sys.stderr)
    return rounds


def measured(command: list[str]) -> tuple[float, float, float]:
    """Wall seconds, peak resident megabytes and processor seconds of one process."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = child.stderr.read() if child.stderr else b""
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(said.decode())
    return time.perf_counter() - start, usage.ru_maxrss / 1e3, usage.ru_utime + usage.ru_stime


def report(
    rounds: dict[str, list[tuple[float, float, float]]], float_mb: float, path: Path | None
) -> None:
    """A table, the budgets, and the raw rounds as JSON."""
    least = {name: min(seconds for seconds, *_ in found) for name, found in rounds.items()}
    peak = {name: max(mb for _, mb, _ in found) for name, found in rounds.items()}
    print(f"{'process':24s} least s  median s   peak MB  least CPU s")
    for name, found in rounds.items():
        middle = statistics.median(seconds for seconds, *_ in found)
        cpu = min(seconds for *_, seconds in found)
        print(f"{name:24s} {least[name]:7.2f} {middle:9.2f} {peak[name]:9.0f} {cpu:12.2f}")
    pairs = zip(rounds["deployopt, cold"], rounds["bare minimum"], strict=True)
    ratio = statistics.median(ours / bare for (ours, *_), (bare, *_) in pairs)
    limit = 3 * float_mb + peak["imports only"]
    print(f"cold / bare minimum: {ratio:.2f} (budget 1.30)")
    print(f"from the float model: {least['deployopt, from float']:.2f} s (budget 3)")
    print(f"peak: {peak['deployopt, cold']:.0f} MB (budget {limit:.0f})")
    if path:
        document = {
            "question": __doc__.partition("\n")[0] if __doc__ else "",
            "environment": {
                "machine": platform.platform(),
                "python": platform.python_version(),
                "cores": os.cpu_count(),
            },
            "float_model_mb": float_mb,
            "ratio": ratio,
            "rounds_s_peak_mb_cpu_s": rounds,
        }
        path.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
