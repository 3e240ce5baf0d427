"""How fast, how small and how accurate is the winner of a search, beside what others make of it?

    pytest benchmarks/ -k compress
    python benchmarks/bench_compress.py [--bundle FOLDER ...] [--rounds 12] [--json FILE]

The model (demo-sentiment) as torch eager, as ONNX Runtime's float and own int8, as OpenVINO int8,
as our int8 of the whole model, and each bundle given (or DEPLOYOPT_BENCH_BUNDLES, folders between
colons): requests are the gate split's texts at their real lengths. Where no bundle is named, the
search is run first, 40 minutes for each accuracy budget. The table sets the aims beside the ratios;
a ratio is of the rounds' own medians, on the wall clock, with one-sided 95 % bounds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.contenders import (
    OPENVINO_INT8,
    ORT,
    ORT_INT8,
    OURS,
    SHAPED,
    TORCH,
    Contenders,
    contenders,
)
from benchmarks.environment import environment
from benchmarks.racing import Clock, Rounds, answers, on_cores, race, ratio
from deployopt.core.paired import LossBounds, loss_bounds
from deployopt.core.request import BuildRequest
from deployopt.core.watching import SILENT
from deployopt.device.bundle_reader import open_bundle
from deployopt.pipeline.preparing import prepare
from deployopt.planning.targets import load_target
from deployopt.store.store import Store

BUNDLES: Final = "DEPLOYOPT_BENCH_BUNDLES"
AIMS: Final[dict[float, dict[str, float]]] = {
    0.01: {TORCH: 11.0, ORT: 3.5, ORT_INT8: 1.8, OPENVINO_INT8: 1.5},
    0.025: {TORCH: 18.0, ORT: 5.8, ORT_INT8: 3.0, OPENVINO_INT8: 2.5},
}
"""By the bound on the accuracy loss: how many times faster the winner is to be."""
SIZE_AIM: Final = 4.0
"""How many times smaller than float."""
LIMIT: Final = "40m"


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One contender's answers to the gate split beside torch's."""

    accuracy: float
    loss: LossBounds


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """All that the tables are made of."""

    sizes: dict[str, int]
    judged: dict[str, Judged]
    rounds: dict[str, Rounds]
    """By the number of threads."""
    budgets: dict[str, float]
    """Of each bundle: the most accuracy it was allowed to lose."""


@pytest.mark.timeout(4 * 3600)
def test_compress(benchmark: BenchmarkFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """One run of everything; nothing here decides whether a change lands."""
    with capsys.disabled():
        found = benchmark.pedantic(main, args=([],), rounds=1)  # type: ignore[no-untyped-call]
    benchmark.extra_info |= {**environment(), "found": msgspec.to_builtins(found)}


def main(words: Sequence[str] | None = None) -> Found:
    """Make or take the bundles, race them, print the tables."""
    options = parsed(words)
    with tempfile.TemporaryDirectory() as scratch, Store(options.store) as store:
        given = [Path(name) for name in options.bundle]
        if not given and not options.shape:
            given = searched(Path(scratch), options)
        request = BuildRequest(
            model=options.model, target=load_target(options.target), data=options.data
        )
        prepared = prepare(request, store, SILENT)
        field = contenders(prepared, Path(scratch))
        for shape in options.shape:
            field = field.shaped(shape, prepared)
        found = compared(field, given, options)
    report(found, options.clock)
    if options.json:
        document = {"environment": environment(), "found": msgspec.to_builtins(found)}
        options.json.write_text(json.dumps(document, indent=1))
    return found


def parsed(words: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line, or their defaults."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    named = [name for name in os.environ.get(BUNDLES, "").split(os.pathsep) if name]
    parser.add_argument("--bundle", action="append", default=named)
    parser.add_argument(
        "--shape", action="append", default=[], help="LAYERS:FFN, an untrained student's times"
    )
    parser.add_argument("--model", default="demo-sentiment")
    parser.add_argument("--data")
    parser.add_argument("--train-data")
    parser.add_argument("--target", default="x86-cpu")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--examples", type=int, help="judge accuracy on the first so many only")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--json", type=Path)
    return parser.parse_args(words)


def searched(folder: Path, options: argparse.Namespace) -> list[Path]:
    """The search that the aims are about, once for each accuracy budget, in one store."""
    bundles = []
    for limit in AIMS:
        output = folder / f"bundle-{limit:g}"
        command = [sys.executable, "-m", "deployopt", "build", "--quiet", "-o", str(output)]
        command += ["-t", options.target, "-m", options.model, "--effort", "default"]
        command += ["--time-limit", LIMIT, "-b", f"accuracy_drop={100 * limit:g}pt"]
        for name in ("store", "data", "train-data"):
            value = getattr(options, name.replace("-", "_"))
            command += [f"--{name}", str(value)] if value else []
        done = subprocess.run(command, check=False)
        made = [p for p in folder.glob(f"{output.name}*") if (p / "manifest.json").exists()]
        print(f"search with a budget of {100 * limit:g} points: exit {done.returncode}")
        bundles += made
    return bundles


def compared(field: Contenders, bundles: Sequence[Path], options: argparse.Namespace) -> Found:
    """Everyone's answers, then everyone's times."""
    budgets = {}
    for bundle in bundles:
        name = f"winner {bundle.name}"
        limits = {b.metric: b.limit for b in open_bundle(bundle).budgets}
        budgets[name] = limits.get("accuracy_drop", 0.0)
        field = field.joined(name, bundle)
    rounds = {}
    for threads in options.threads:
        specs = [on_cores(spec, threads) for spec in field.specs.values()]
        rounds[str(threads)] = race(
            specs, rounds=options.rounds, requests=options.requests, count=len(field.labels)
        )
    return Found(
        sizes=field.sizes,
        judged=judged(field, options.examples),
        rounds=rounds,
        budgets=budgets,
    )


def judged(field: Contenders, count: int | None) -> dict[str, Judged]:
    """Right and wrong on the gate split, paired with torch's; untaught students are left out."""
    labels = np.asarray(field.labels[:count])
    said = {
        name: np.asarray(answers(on_cores(spec, len(os.sched_getaffinity(0))), len(labels)))
        == labels
        for name, spec in field.specs.items()
        if not name.startswith(SHAPED)
    }
    whole = said[TORCH]
    return {
        name: Judged(
            accuracy=float(right.mean()),
            loss=loss_bounds(int((whole & ~right).sum()), int((~whole & right).sum()), len(labels)),
        )
        for name, right in said.items()
    }


def report(found: Found, clock: Clock) -> None:
    """One table of accuracy and size, then for each number of threads times, ratios and aims."""
    float_size = found.sizes[ORT]
    print("\n| form | accuracy | loss, points (95 % bound) | MB | float / this |")
    print("|---|---|---|---|---|")
    for name, one in found.judged.items():
        size = found.sizes[name]
        print(
            f"| {name} | {one.accuracy:.2%} | {100 * one.loss.estimate:.2f} "
            f"({100 * one.loss.upper:.2f}) | {size / 1e6:.1f} | {float_size / size:.2f} |"
        )
    for threads, rounds in found.rounds.items():
        print(f"\n{threads} pinned thread(s), {clock} clock, batch 1, real lengths\n")
        report_times(found, rounds, clock)


def report_times(found: Found, rounds: Rounds, clock: Clock) -> None:
    """Medians, and every other form's time over our whole model's and each winner's."""
    ours = [*found.budgets, *(name for name in rounds if name.startswith(SHAPED))] or [OURS]
    print(f"| form | median ms | {' | '.join(f'time / {name}' for name in ours)} |")
    print("|---|---|" + "---|" * len(ours))
    for name, times in rounds.items():
        middle = float(np.median([one.on(clock) for one in times]))
        ratios = [compared_with_aim(found, rounds, name, winner, clock) for winner in ours]
        print(f"| {name} | {middle:.2f} | {' | '.join(ratios)} |")


def compared_with_aim(found: Found, rounds: Rounds, slow: str, winner: str, clock: Clock) -> str:
    """`3.51 (3.44 to 3.58), aim 3.5 reached`."""
    shown = ratio(rounds, slow, winner, clock)
    aim = AIMS.get(round(found.budgets.get(winner, 0.0), 4), {}).get(slow)
    if aim is None:
        return str(shown)
    missed = f"missed by {1 - shown.estimate / aim:.0%}"
    return f"{shown}, aim {aim:g} {'reached' if shown.estimate >= aim else missed}"


if __name__ == "__main__":
    main()
