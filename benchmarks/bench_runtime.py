"""Which runtime answers faster, ONNX Runtime or OpenVINO, by form, shape and threads?

    pytest benchmarks/ -k runtime
    python benchmarks/bench_runtime.py [--shape 4:0.5 ...] [--rounds 12] [--json FILE]

Every form that a build for x86 would try (float and int8 in each runtime that is installed), of the
whole model and of students that were cut to LAYERS:FFN and not taught: times do not depend on that.
Requests are the gate split's at their real lengths. Ratios are to ONNX Runtime's int8 of the same
shape, of the rounds' own medians, with one-sided 95 % bounds.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.contenders import gate_requests, kept_layers, made, spec_of
from benchmarks.environment import environment
from benchmarks.racing import Clock, Rounds, Spec, on_cores, race, ratio
from deployopt.core.recipe import Step
from deployopt.core.request import BuildRequest
from deployopt.core.watching import SILENT
from deployopt.pipeline.preparing import Prepared, prepare
from deployopt.planning.targets import load_target
from deployopt.steps.prune import Prune
from deployopt.store.store import Store

BASE = "int8"
"""The form that the others are compared with."""


@pytest.mark.timeout(3600)
def test_runtime(benchmark: BenchmarkFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """One run of everything; nothing here decides whether a change lands."""
    with capsys.disabled():
        found = benchmark.pedantic(main, args=([],), rounds=1)  # type: ignore[no-untyped-call]
    benchmark.extra_info |= {**environment(), "found": msgspec.to_builtins(found)}


def main(words: Sequence[str] | None = None) -> dict[str, Rounds]:
    """Make every form, race them shape by shape, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shape", action="append", help="LAYERS:FFN; by default 4:0.5")
    parser.add_argument("--model", default="demo-sentiment")
    parser.add_argument("--data")
    parser.add_argument("--target", default="x86-cpu")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    found: dict[str, Rounds] = {}
    with tempfile.TemporaryDirectory() as scratch, Store(options.store) as store:
        request = BuildRequest(
            model=options.model, target=load_target(options.target), data=options.data
        )
        prepared = prepare(request, store, SILENT)
        asked = gate_requests(prepared, Path(scratch))
        for shape in ("whole", *(options.shape or ["4:0.5"])):
            specs = forms(prepared, shape, asked.path)
            for threads in options.threads:
                pinned = [on_cores(spec, threads) for spec in specs]
                name = f"{shape}, {threads} pinned thread(s)"
                found[name] = race(
                    pinned,
                    rounds=options.rounds,
                    requests=options.requests,
                    count=len(asked.labels),
                )
                report(name, found[name], options.clock)
    if options.json:
        document = {"environment": environment(), "found": msgspec.to_builtins(found)}
        options.json.write_text(json.dumps(document, indent=1))
    return found


def forms(prepared: Prepared, shape: str, asked: Path) -> list[Spec]:
    """What each recipe of the build makes of this shape."""
    cut: tuple[Step, ...] = ()
    if shape != "whole":
        layers, _, ffn = shape.partition(":")
        kept = kept_layers(prepared, int(layers))
        cut = (Prune(layers=kept, ffn=float(ffn or 1), importance="magnitude"),)
    specs = []
    for recipe in prepared.recipes:
        artifact = made(prepared, f"{shape} {recipe.name}", (*cut, *recipe.steps))
        specs.append(spec_of(recipe.name, artifact, asked))
    return specs


def report(name: str, rounds: Rounds, clock: Clock) -> None:
    """A row a form."""
    print(f"\n{name}, {clock} clock, batch 1, real lengths\n")
    print(f"| form | median ms | time / {BASE} |")
    print("|---|---|---|")
    for form, times in rounds.items():
        middle = float(np.median([one.on(clock) for one in times]))
        print(f"| {form} | {middle:.2f} | {ratio(rounds, form, BASE, clock)} |")


if __name__ == "__main__":
    main()
