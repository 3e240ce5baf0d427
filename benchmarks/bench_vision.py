"""How fast and how accurate is an image classifier that lost channels, learned again and is int8?

    python examples/mnist-resnet/make.py
    python -m benchmarks.bench_vision [--channels 0.8 0.65] [--epochs 4] [--rounds 8]

For each share of channels: Prune, Distil, Export, Optimize, QuantizeStatic, by the same calls as a
build. Beside them the whole model, float and int8. Printed: multiply-adds that went, agreement with
the teacher, accuracy on the gate split with its paired loss and bound, the size, and how many times
as fast as ONNX Runtime's float graph of the whole model, over rounds of fresh processes that take
turns, with one-sided 95 % bounds; on a busy machine `--threads 1 --clock cpu` counts what the
processor did for each alone. The aim where VNNI is there: at least 30 % of the multiply-adds
gone, and three times as fast.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pytest

from benchmarks.racing import Spec, answers, on_cores, race, ratio
from deployopt.core.artifact import Artifact
from deployopt.core.codec import decode_json
from deployopt.core.distill_result import Lessons
from deployopt.core.examples import decode_examples
from deployopt.core.measurement import Split
from deployopt.core.paired import loss_bounds
from deployopt.core.recipe import Recipe
from deployopt.core.request import BuildRequest
from deployopt.core.samples import encode_samples
from deployopt.core.watching import SILENT
from deployopt.core.workload import Workload
from deployopt.pipeline.facts import source_facts
from deployopt.pipeline.making import Made, make
from deployopt.pipeline.material import Material, gather_material
from deployopt.pipeline.preparing import Prepared, prepare, split_feeds
from deployopt.pipeline.recipes import FLOAT, INT8, float_steps
from deployopt.planning.targets import load_target
from deployopt.steps.distil import Distil
from deployopt.steps.prune import Prune
from deployopt.store.model_folders import RECORD
from deployopt.store.store import Store

EXAMPLE: Final = Path(__file__).parents[1] / "examples" / "mnist-resnet"
MACS_AIM, SPEED_AIM = 0.3, 3.0


class Entrant(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact of the race."""

    name: str
    artifact: Artifact
    macs: float
    agreement: float | None = None
    seconds: float = 0.0
    """Of pruning and learning."""


@pytest.mark.timeout(3600)
def test_vision(capsys: pytest.CaptureFixture[str]) -> None:
    """One run of everything, where the example's model was made."""
    if not (EXAMPLE / "config.json").exists():
        pytest.skip("the model is not made: python examples/mnist-resnet/make.py")
    with capsys.disabled():
        main([])


def main(words: Sequence[str] | None = None) -> None:
    """Make everything, ask everything, race, print."""
    options = parsed(words)
    with tempfile.TemporaryDirectory() as scratch, Store(options.store) as store:
        request = BuildRequest(
            model=str(options.model), target=load_target(options.target),
            data=str(options.data or options.model / "data" / "judge"),
            train_data=str(options.train_data or options.model / "data" / "train"),
        )  # fmt: skip
        prepared = prepare(request, store, SILENT)
        material = gather_material(request, prepared.source, prepared.dataset, store)
        if material is None:
            raise SystemExit("There is nothing to learn from.")
        print(f"{material.examples} images to learn from", file=sys.stderr)
        entrants = [whole(prepared, FLOAT), whole(prepared, INT8)]
        for share in options.channels:
            entrants += narrower(prepared, material, share, options)
        compare(prepared, entrants, Path(scratch), options)


def parsed(words: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line, or their defaults."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, default=EXAMPLE)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--train-data", type=Path)
    parser.add_argument("--target", default="x86-cpu")
    parser.add_argument("--channels", type=float, nargs="+", default=[0.8, 0.65])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--store", type=Path)
    return parser.parse_args(words)


def whole(prepared: Prepared, form: str) -> Entrant:
    """The model as it came in one of its forms."""
    recipe = next(recipe for recipe in prepared.recipes if recipe.name == form)
    made = make(recipe, prepared.source.artifact, prepared.bench, told)
    return Entrant(
        name=f"whole, {form}", artifact=made.artifact, macs=macs(prepared, prepared.source.artifact)
    )


def narrower(
    prepared: Prepared, material: Material, share: float, options: argparse.Namespace
) -> list[Entrant]:
    """Cut and taught with the training material, then made as the whole model is."""
    bench = msgspec.structs.replace(prepared.bench, lesson=material.lesson)
    teaching = Distil(epochs=options.epochs, learning_rate=options.learning_rate)
    recipe = Recipe(name=f"channels {share:g}", steps=(Prune(channels=share), teaching))
    student = make(recipe, prepared.source.artifact, bench, told)
    print(*student.artifact.notes, sep="\n", file=sys.stderr)
    start = float_steps(prepared.source.artifact.format, prepared.request.target)
    found = []
    for name in (FLOAT, INT8):
        form = next(form for form in prepared.forms if form.name == name)
        steps = Recipe(name=f"{recipe.name}, {name}", steps=(*start, *form.steps))
        made = make(steps, student.artifact, prepared.bench, told)
        found.append(
            Entrant(
                name=steps.name, artifact=made.artifact, macs=macs(prepared, student.artifact),
                agreement=agreement(student), seconds=sum(step.seconds for step in student.steps),
            )
        )  # fmt: skip
    return found


def agreement(student: Made) -> float:
    """With the teacher, on the validation split."""
    path = student.artifact.folder / RECORD
    lessons = decode_json(path.read_bytes(), Lessons, where=str(path))
    return lessons.epochs[lessons.best_epoch].agreement


def macs(prepared: Prepared, artifact: Artifact) -> float:
    """Multiply-adds of one image."""
    there = msgspec.structs.replace(prepared.source, artifact=artifact)
    facts = source_facts(there, Workload(), prepared.shapes)
    if facts is None:
        raise SystemExit("The model's work cannot be counted.")
    return float(sum(one.macs * one.count for one in facts.operations))


def compare(
    prepared: Prepared, entrants: Sequence[Entrant], scratch: Path, options: argparse.Namespace
) -> None:
    """Right and wrong on the gate split, then times."""
    feeds = split_feeds(prepared.source, prepared.dataset, Split.GATE)
    labels = np.asarray(decode_examples(prepared.dataset.splits[Split.GATE].path).labels)
    (scratch / "feeds.npz").write_bytes(encode_samples(feeds))
    specs = [
        Spec(
            name=one.name, engine="onnxruntime", feeds=str(scratch / "feeds.npz"),
            model=str(one.artifact.folder / one.artifact.entry),
            disabled=one.artifact.session.disabled_optimizers,
        )
        for one in entrants
    ]  # fmt: skip
    right = {spec.name: np.asarray(answers(on_cores(spec, 1))) == labels for spec in specs}
    rounds = {
        threads: race(
            [on_cores(spec, threads) for spec in specs],
            rounds=options.rounds, requests=options.requests, count=len(feeds),
        )
        for threads in options.threads
    }  # fmt: skip
    first = entrants[0]
    print(f"\n{len(feeds)} images of the gate split; float / this by the {options.clock} clock\n")
    heads = [f"times as fast, {threads} thread(s)" for threads in options.threads]
    print("| form | MACs gone | agreement | accuracy | loss, points (bound) | MB | ms |",
          " | ".join(heads), "| s to make |")  # fmt: skip
    print("|" + "---|" * (8 + len(heads)))
    for one in entrants:
        same, other = right[first.name], right[one.name]
        loss = loss_bounds(int((same & ~other).sum()), int((~same & other).sum()), len(labels))
        size = sum(path.stat().st_size for path in one.artifact.folder.glob("model*"))
        faster = [
            str(ratio(rounds[n], first.name, one.name, options.clock)) for n in options.threads
        ]
        least = min(times.on(options.clock) for times in rounds[options.threads[0]][one.name])
        agreed = "" if one.agreement is None else f"{one.agreement:.1%}"
        print(
            f"| {one.name} | {1 - one.macs / first.macs:.1%} | {agreed} | {other.mean():.2%} | "
            f"{100 * loss.estimate:.2f} ({100 * loss.upper:.2f}) | {size / 1e6:.2f} |",
            f"{least:.2f} |", " | ".join(faster), f"| {one.seconds:.0f} |",
        )  # fmt: skip
    print(f"\nAims: {MACS_AIM:.0%} of the MACs gone, {SPEED_AIM:g} times as fast.")


def told(share: float, words: str) -> None:
    """Progress goes to stderr, one line."""
    print(f"\r{share:4.0%} {words:40.40}", end="", file=sys.stderr)


if __name__ == "__main__":
    main()
