"""Everything that needs a card, on a machine that has one; elsewhere it says what it needs.

Usage: python benchmarks/gpu.py [--target NAME] [--model demo-sentiment] [--bundle FOLDER]
       [--rounds 24] [--requests 400] [--results benchmarks/results]

Runs the tests that need a GPU. Builds what the card and the installs here can open (an engine of
TensorRT for RTX, a graph for ONNX Runtime on CUDA, one for its TensorRT provider, one for TensorRT
itself), verifies each there, and races them against torch on the same card: eager float32, eager
with float16 autocast, and torch.compile in float16 with mode="max-autotune". The first of them runs
twice in every round, so that the race shows what it calls a difference where there is none. ONNX
Runtime's graphs are built once more for requests of one shape, and race launched as one CUDA graph
against kernel by kernel. The reference is worked out on the card and on the CPU.
A target of one's own (a TOML file with a [workload]) asks other batches and lengths. What came of
it is written into the results folder, with the card, the driver and the environment.

A machine without what it takes ends with exit 0 and a line for each thing that is missing.
"""

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import msgspec

from benchmarks.environment import environment
from benchmarks.gpu_parts import (
    GpuTests,
    ReferenceRun,
    fixed_target,
    gpu_tests,
    how_launched,
    named_target,
    reference_run,
)
from benchmarks.racing import Ratio, Rounds, Spec, on_cores, race, ratio
from deployopt.core.card import CARD_PROVIDERS, CUDA, EXCHANGE, TENSORRT, TENSORRT_INSTALL
from deployopt.core.engine import RTX_CAPABILITIES, sm_of
from deployopt.core.examples import decode_examples
from deployopt.core.interface import Task
from deployopt.core.samples import decode_samples, encode_samples
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.cuda_driver import driver_missing
from deployopt.device.device import ThisMachine
from deployopt.device.gpu import GpuFound, find_gpus
from deployopt.device.inputs import feeds
from deployopt.device.sides import side_of
from deployopt.planning.targets import load_target, target_names
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store

ENGINE, AGAIN = "engine", "the same again"
ON_CUDA, ON_TENSORRT, PLAN = "graph on CUDA", "graph on TensorRT", "plan of TensorRT"
NAMES = {
    "tensorrt-rtx": ENGINE,
    "onnxruntime": ON_CUDA,
    "onnxruntime-tensorrt": ON_TENSORRT,
    "tensorrt": PLAN,
}
"""Of what each runtime of `build` makes; what comes first is what the others are held against."""
CAPTURED = frozenset({"onnxruntime", "onnxruntime-tensorrt"})
"""Runtimes whose requests of one shape ONNX Runtime captures."""
KERNELS = "kernel by kernel"
REQUESTS = "requests.npz"
EAGER, HALF, COMPILED = "torch eager fp32", "torch eager fp16", "torch.compile fp16"
AIMS = {HALF: 2.0, COMPILED: 1.0}
"""The first is to be so many times as fast, one request at a time."""
_CLASSES = {
    Task.TEXT_CLASSIFICATION: "AutoModelForSequenceClassification",
    Task.IMAGE_CLASSIFICATION: "AutoModelForImageClassification",
}
SAME = 0.01
"""What runs twice is to be no further apart from itself."""


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle's artifact, and what `deployopt verify` said of it on this card."""

    artifact: str
    exit_code: int
    result: object


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """A graph whose requests have one shape; `ratio` is kernel by kernel over as one CUDA graph."""

    verified: Verified
    captured_share: float | None
    uncaptured: str
    rounds: Rounds
    ratio: Ratio


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a run found; `ratios` are times over those of `base`."""

    card: GpuFound | None
    environment: dict[str, object]
    base: str = ENGINE
    bundles: dict[str, Verified]
    rounds: Rounds
    ratios: dict[str, Ratio]
    tests: GpuTests | None = None
    launches: dict[str, Launch] = {}
    """ONNX Runtime's graphs for requests of one shape."""
    reference: ReferenceRun | None = None


def main() -> int:
    """Look, build, verify, race, write."""
    asked = _arguments()
    cards = find_gpus()
    lacking = missing(cards)
    if lacking:
        print("skipped: nothing here can run an engine or a graph for a card. It needs:")
        print("\n".join(f"- {one}" for one in lacking))
        return 0
    tests = gpu_tests()
    print("\n".join(tests.said))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bundles = {ENGINE: asked.bundle} if asked.bundle else {}
        target = asked.target or named_target(target_of(cards[0]), cards[0].name, folder)
        for runtime in () if bundles else routes(cards[0]):
            bundles[NAMES[runtime]] = built(target, asked.model, folder / runtime, runtime)
        found_by_name = {name: verified(bundle) for name, bundle in bundles.items()}
        base = next(iter(bundles))
        specs = field(bundles, asked.model, folder, device="cuda")
        rounds = race(specs, rounds=asked.rounds, requests=asked.requests, count=_count(folder))
        launches = {}
        for runtime in CAPTURED.intersection(routes(cards[0])):
            try:
                launches[NAMES[runtime]] = launched(runtime, target, asked, folder)
            except SystemExit as error:  # what was found before is kept
                print(f"{runtime}, one shape: {error}")
        with Store(None) as store:
            source = resolve_model(asked.model, store=store)
            answers = reference_run(source, decode_samples(folder / REQUESTS), threads=1)
    found = Outcome(
        card=cards[0],
        environment=environment(),
        base=base,
        bundles=found_by_name,
        rounds=rounds,
        ratios={name: ratio(rounds, name, base) for name in rounds if name != base},
        tests=tests,
        launches=launches,
        reference=answers,
    )
    report(found)
    asked.results.mkdir(parents=True, exist_ok=True)
    path = asked.results / f"gpu-{sm_of(cards[0].compute_capability).lower()}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    print(f"written: {path}")
    return 0


def missing(cards: Sequence[GpuFound]) -> list[str]:
    """What this machine lacks, and how to get it."""
    driver = driver_missing()
    found = [] if driver is None else [f"an NVIDIA card and its driver: {driver}"]
    if find_spec("pynvml") is None:
        found.append("the names of the cards: pip install nvidia-ml-py")
    if not any(routes(card) for card in cards):
        known = ", ".join(sm_of(one) for one in RTX_CAPABILITIES)
        found.append(
            "TensorRT for RTX (pip install 'deployopt[build,tensorrt-rtx]') and a card of "
            f"{known}; or an ONNX Runtime with CUDA: {EXCHANGE}; or {TENSORRT_INSTALL}"
        )
    if find_spec("torch") is None or not _torch_sees_a_card():
        found.append("a torch that was built for CUDA, to race against")
    return found


def routes(card: GpuFound) -> list[str]:
    """The runtimes of `build` whose bundles can be opened here, the usual one first."""
    engine = card.compute_capability in RTX_CAPABILITIES and find_spec("tensorrt_rtx") is not None
    there = providers()
    graphs = (("onnxruntime", CUDA), ("onnxruntime-tensorrt", TENSORRT))
    found = [runtime for runtime, provider in graphs if CARD_PROVIDERS[provider] in there]
    plan = find_spec("tensorrt") is not None
    return (["tensorrt-rtx"] if engine else []) + found + (["tensorrt"] if plan else [])


def providers() -> Sequence[str]:
    """Of the ONNX Runtime that is installed."""
    return list(importlib.import_module("onnxruntime").get_available_providers())


def target_of(card: GpuFound) -> str:
    """The shipped target with this card's compute capability."""
    for name in target_names():
        gpu = load_target(name).hardware.gpu
        if gpu is not None and gpu.compute_capability == card.compute_capability:
            return name
    raise SystemExit(f"No shipped target has {card.name}: give --target FILE.")


def built(target: str, model: str, folder: Path, runtime: str) -> Path:
    """The bundle of a build for it, provisional where nothing of it has run before `verify`."""
    folder.mkdir()
    words = ["build", "--quiet", "-t", target, "-m", model, "-o", str(folder / "bundle")]
    words += ["--accept-predicted", "--runtime", runtime]
    done = subprocess.run([sys.executable, "-m", "deployopt", *words], check=False)
    made = [path for path in folder.glob("bundle*") if (path / "manifest.json").exists()]
    if not made:
        raise SystemExit(f"Nothing was built for {runtime}: exit {done.returncode}.")
    return made[0]


def verified(bundle: Path) -> Verified:
    """What `deployopt verify` says on this card."""
    words = [sys.executable, "-m", "deployopt", "verify", str(bundle), "--json"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    return Verified(
        artifact=open_bundle(bundle).manifest.artifact,
        exit_code=done.returncode,
        result=json.loads(done.stdout or "null"),
    )


def launched(runtime: str, target: str, asked: argparse.Namespace, folder: Path) -> Launch:
    """A graph for requests of one shape, as it is opened against kernel by kernel."""
    place = folder / f"fixed-{runtime}"
    place.mkdir()
    bundle = built(str(fixed_target(target, place)), asked.model, place / "built", runtime)
    seen = verified(bundle)
    requests = write_requests(bundle, place)
    whole = on_cores(_ours(NAMES[runtime], bundle, requests), 1)
    bits = msgspec.structs.replace(whole, name=f"{whole.name}, {KERNELS}", captured=False)
    rounds = race((whole, bits), rounds=asked.rounds, requests=asked.requests, count=_count(place))
    share, why = how_launched(seen.result)
    return Launch(
        verified=seen,
        captured_share=share,
        uncaptured=why,
        rounds=rounds,
        ratio=ratio(rounds, bits.name, whole.name),
    )


def write_requests(bundle: Path, folder: Path) -> Path:
    """The requests of the bundle's gate split."""
    opened = open_bundle(bundle)
    data = side_of(opened, ThisMachine().machine).data
    examples = decode_examples(data.examples).inputs
    asked = feeds(opened.manifest.interface, data.folder, examples, opened.target.workload)
    path = folder / REQUESTS
    path.write_bytes(encode_samples(list(asked)))
    return path


def field(bundles: Mapping[str, Path], model: str, folder: Path, *, device: str) -> list[Spec]:
    """Everyone who races, on one core of this machine and its card."""
    requests = write_requests(next(iter(bundles.values())), folder)
    ours = [_ours(name, bundle, requests) for name, bundle in bundles.items()]
    with Store(None) as store:
        source = resolve_model(model, store=store)
    eager = Spec(
        name=EAGER,
        engine="torch",
        torch_class=_CLASSES[source.interface.task],
        model=str(source.artifact.folder),
        feeds=str(requests),
        device=device,
    )
    half = msgspec.structs.replace(eager, name=HALF, half=True)
    specs = [
        *ours,
        msgspec.structs.replace(ours[0], name=AGAIN),
        eager,
        half,
        msgspec.structs.replace(half, name=COMPILED, compiled=True),
    ]
    return [on_cores(spec, 1) for spec in specs]


def _ours(name: str, bundle: Path, requests: Path) -> Spec:
    setup = open_bundle(bundle).setup
    return Spec(
        name=name,
        engine=setup.runtime,
        model=str(setup.model),
        feeds=str(requests),
        outputs=setup.outputs,
        bundle=str(bundle),
    )


def report(found: Outcome) -> None:
    """Ratios and aims."""
    for name, verified_as in found.bundles.items():
        print(f"{name}: verified with exit {verified_as.exit_code}")
    for name, one in found.ratios.items():
        if name == AGAIN:
            apart = max(abs(one.low - 1), abs(one.high - 1))
            words = "reached" if apart <= SAME else "missed"
            print(f"{name}: {one}, aim within {SAME:.0%} {words}")
        else:
            aim = AIMS.get(name)
            words = "" if aim is None else "reached" if one.low >= aim else "missed"
            told = f", aim {aim:g} {words}" if aim else ""
            print(f"{name}: {one} x the time of the {found.base}{told}")
    _report_parts(found)


def _report_parts(found: Outcome) -> None:
    if found.tests is not None:
        print(f"tests that need a GPU: exit {found.tests.exit_code}")
    for name, one in found.launches.items():
        share = 0.0 if one.captured_share is None else one.captured_share
        why = f" ({one.uncaptured})" if one.uncaptured else ""
        print(
            f"{name}, one shape: {share:.0%} of requests launched as one CUDA graph{why}; "
            f"{KERNELS} {one.ratio} x the time"
        )
    if found.reference is not None:
        print(f"reference, {found.reference.words}")


def _count(folder: Path) -> int:
    return len(decode_samples(folder / REQUESTS))


def _torch_sees_a_card() -> bool:
    return bool(importlib.import_module("torch").cuda.is_available())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--target", help="a name or a TOML file; the card's own where left out")
    parser.add_argument("--model", default="demo-sentiment")
    parser.add_argument("--bundle", type=Path, help="an engine that was built before, of the model")
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
