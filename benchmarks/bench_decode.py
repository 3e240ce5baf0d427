"""How fast does a built language model answer beside torch and beside its own float form?

    pytest benchmarks/ -k decode
    python -m benchmarks.bench_decode [--bundle FOLDER ...] [--rounds 8] [--threads 2] [--json FILE]

torch eager in float32, onnxruntime-genai in float32 and in 8-bit blocks, and the bundles that are
named: fresh processes every round, all open, one answering at a time in an order drawn by lot.
Ratios are of the rounds' own medians, with one-sided 95 % bounds.
"""

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.environment import environment
from deployopt.core.distributions import student_t_quantile
from deployopt.core.recipe import Step
from deployopt.core.request import BuildRequest
from deployopt.core.samples import decode_samples
from deployopt.core.stages import TimedStages
from deployopt.core.watching import SILENT
from deployopt.device.bundle_reader import open_bundle
from deployopt.pipeline.language.preparing import PreparedLanguage, prepare_language
from deployopt.pipeline.making import make
from deployopt.pipeline.preparing import named_source
from deployopt.planning.targets import load_target
from deployopt.steps.decoder import ExportDecoder
from deployopt.store.store import Store

TORCH: Final = "torch eager fp32"
FLOAT: Final = "genai fp32"
BLOCKS: Final = "genai, 8-bit blocks"
PROMPTS: Final = 4
MEBI: Final = 2**20
CHILD: Final = "benchmarks.decode_child"
AIMS: Final = {TORCH: 4.0, FLOAT: 2.5}
"""Times as many tokens a second as these."""


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What one runner opens, and what it is asked."""

    name: str
    engine: Literal["torch", "genai"]
    model: str
    prompts: tuple[tuple[int, ...], ...]
    tokens: int
    context: int
    threads: int
    cores: tuple[int, ...]


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Medians of one runner in one round, and its peaks of resident bytes."""

    first_s: float
    decode_tps: float
    peak_bytes: int
    """After the answers."""
    full_bytes: int | None = None
    """After the whole context was filled; asked in the first round."""


Rounds = dict[str, list[Times]]


@pytest.mark.timeout(3600)
def test_decode(benchmark: BenchmarkFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """One run of everything; nothing here decides whether a change lands."""
    with capsys.disabled():
        found = benchmark.pedantic(main, args=([],), rounds=1)  # type: ignore[no-untyped-call]
    benchmark.extra_info |= {**environment(), "found": msgspec.to_builtins(found)}


def main(words: Sequence[str] | None = None) -> Rounds:
    """Make the forms, race them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bundle", action="append", type=Path, default=[])
    parser.add_argument("--model", default="demo-chat")
    parser.add_argument("--target", default="x86-cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    request = BuildRequest(model=options.model, target=load_target(options.target))
    with Store(options.store) as store:
        source = named_source(request, store)
        prepared = prepare_language(request, source, store, TimedStages(SILENT), None)
        specs = _specs(prepared, options.bundle, options.threads)
        found = race(specs, options.rounds)
    _print(found, options.threads)
    if options.json is not None:
        content = {**environment(), "found": msgspec.to_builtins(found)}
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return found


def _specs(prepared: PreparedLanguage, bundles: Sequence[Path], threads: int) -> list[Spec]:
    prompts = decode_samples(prepared.timed)[:PROMPTS]
    cores = tuple(sorted(os.sched_getaffinity(0))[-threads:])

    def spec(name: str, engine: Literal["torch", "genai"], model: Path) -> Spec:
        return Spec(
            name=name,
            engine=engine,
            model=str(model),
            prompts=tuple(tuple(int(x) for x in one["input_ids"][0]) for one in prompts),
            tokens=prepared.requests.answer,
            context=prepared.requests.context,
            threads=threads,
            cores=cores,
        )

    steps: dict[str, Step] = {FLOAT: ExportDecoder(), BLOCKS: ExportDecoder(precision="int8")}
    found = [spec(TORCH, "torch", prepared.source.artifact.folder)]
    for name, step in steps.items():
        recipe = msgspec.structs.replace(prepared.recipes[0], name=name, steps=(step,))
        made = make(recipe, prepared.source.artifact, prepared.bench, lambda _share, _words: None)
        found.append(spec(name, "genai", made.artifact.path))
    found += [spec(bundle.name, "genai", open_bundle(bundle).setup.model) for bundle in bundles]
    return found


def race(specs: Sequence[Spec], rounds: int) -> Rounds:
    """Each round fresh processes; within it every runner answers every prompt twice, in turns."""
    found: Rounds = {spec.name: [] for spec in specs}
    for number in range(rounds):
        lot = random.Random(number)  # noqa: S311 -- an order, not a secret
        runners = {spec.name: _started(spec) for spec in specs}
        taken: dict[str, list[tuple[float, float]]] = {spec.name: [] for spec in specs}
        for prompt in [*range(PROMPTS), *range(PROMPTS)]:
            order = list(runners)
            lot.shuffle(order)
            for name in order:
                taken[name].append(json.loads(_say(runners[name], str(prompt))))
        for spec in specs:
            peak = int(_say(runners[spec.name], "peak"))
            full = None if number else int(_say(runners[spec.name], "fill"))
            runners[spec.name].communicate()
            times = taken[spec.name]
            found[spec.name].append(
                Times(
                    first_s=statistics.median(first for first, _ in times),
                    decode_tps=(spec.tokens - 1) / statistics.median(rest for _, rest in times),
                    peak_bytes=peak,
                    full_bytes=full,
                )
            )
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return found


def _started(spec: Spec) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", CHILD, msgspec.json.encode(spec).decode()]
    runner = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    if (runner.stdout.readline() if runner.stdout else "").strip() != "ready":
        raise SystemExit(f"{spec.name} failed")
    return runner


def _say(runner: subprocess.Popen[str], words: str) -> str:
    if runner.stdin is None or runner.stdout is None:
        raise SystemExit("the runner has no pipes")
    runner.stdin.write(f"{words}\n")
    runner.stdin.flush()
    return runner.stdout.readline()


def _print(found: Rounds, threads: int) -> None:
    print(f"\n{threads} threads, medians of {len(found[TORCH])} rounds, bounds 95 % one-sided\n")
    print(
        "| form | tokens/s | x torch | x genai fp32 | first token, ms | x genai fp32 "
        "| MiB, answering | MiB, context full | x torch |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    least = _full(found[TORCH])
    for name, rounds in found.items():
        rate = statistics.median(one.decode_tps for one in rounds)
        first = statistics.median(one.first_s for one in rounds)
        peak = max(one.peak_bytes for one in rounds) / MEBI
        ratios = [_ratio(found, name, base, "decode_tps") for base in (TORCH, FLOAT)]
        ratios.append(_ratio(found, name, FLOAT, "first_s"))
        full = _full(rounds)
        memory = [f"{peak:.0f}", f"{full / MEBI:.0f}", f"{full / least:.2f}"]
        cells = [name, f"{rate:.1f}", *ratios[:2], f"{1e3 * first:.0f}", ratios[2], *memory]
        print(f"| {' | '.join(cells)} |")
    aims = ", ".join(f"{aim:g} x {name}" for name, aim in AIMS.items())
    print(
        f"\nAims of the fastest that is good enough: {aims}; first token at most 1.1 x genai fp32;"
    )
    print("a third of torch's memory. Every context was filled in the same pieces.")


def _full(rounds: Sequence[Times]) -> int:
    return max(one.full_bytes for one in rounds if one.full_bytes is not None)


def _ratio(found: Rounds, name: str, base: str, field: str) -> str:
    pairs = zip(found[name], found[base], strict=True)
    logs = [math.log(getattr(one, field) / getattr(other, field)) for one, other in pairs]
    mean, reach = statistics.fmean(logs), 0.0
    if len(logs) > 1:
        error = statistics.stdev(logs) / math.sqrt(len(logs))
        reach = student_t_quantile(0.95, len(logs) - 1) * error
    low, high = math.exp(mean - reach), math.exp(mean + reach)
    return f"{math.exp(mean):.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
