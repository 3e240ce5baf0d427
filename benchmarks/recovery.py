"""At equal shape, does distilled recovery lose at most half of what plain fine-tuning loses?

Usage: python benchmarks/recovery.py [--log runs.jsonl] [--layers 3] [--ffn 0.5] [--seeds 3]
       python benchmarks/recovery.py --log runs.jsonl --table    (runs nothing)

One student is cut from demo-sentiment by Taylor importance and is every arm's start; training
texts, epochs and batch are the same. `fine-tuned` learns the labels, `distilled` the teacher's
logits and hidden states, `distilled, more texts` the same with the archive's tweets and Amazon
reviews beside, unlabelled. Fine-tuning and distilling each take the learning rate that the
validation split likes best with the first seed; more texts take that of distilling. All are judged
on the gate split, against the whole model, example by example. Every run is written to the log when
it ends; the same call goes on from there.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.artifact import Artifact
from deployopt.core.distill_request import DistillRequest
from deployopt.core.examples import Example
from deployopt.core.mean_loss import mean_loss_bounds
from deployopt.core.memory import Method
from deployopt.core.paired import LossBounds, loss_bounds
from deployopt.core.recipe import Recipe
from deployopt.core.samples import Feed
from deployopt.core.source import SourceModel
from deployopt.core.training import TrainingOptions
from deployopt.core.watching import SILENT
from deployopt.modeling.pruning.shape import spread_layers
from deployopt.pipeline.lessons import Prepared, gather_texts, prepare_lesson
from deployopt.pipeline.making import Workbench, make
from deployopt.sources.demo import DATA, read_demo_data
from deployopt.sources.demo_data import stored_archive
from deployopt.sources.models import resolve_model
from deployopt.sources.training_lots import HELD_OUT, TRAIN, VALIDATION
from deployopt.steps.distil import Distil
from deployopt.steps.prune import Prune
from deployopt.steps.reference import predict_reference
from deployopt.store.store import Store

MODEL: Final = "demo-sentiment"
TUNED, DISTILLED, MORE = "fine-tuned", "distilled", "distilled, more texts"
ARMS: Final = (TUNED, DISTILLED, MORE)
PATIENCE: Final = 2
RESAMPLES: Final = 10_000

Right = npt.NDArray[np.bool_]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One arm with one seed and rate; `right` has a 0 or 1 for each gate example."""

    arm: str
    seed: int
    rate: float
    epochs: int
    validation: float
    seconds: float
    right: str

    @property
    def rights(self) -> Right:
        """As an array."""
        found: Right = np.frombuffer(self.right.encode(), np.uint8) == ord("1")
        return found


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """What all runs share."""

    store: Store
    teacher: SourceModel
    start: Artifact
    plain: Prepared
    more: Prepared
    options: argparse.Namespace


def main() -> None:
    """Run what the log lacks, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--log", type=Path, default=Path("recovery.jsonl"))
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--ffn", type=float, default=0.5)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--tuned-rates", type=float, nargs="+", default=[5e-5, 1e-4, 2e-4])
    parser.add_argument("--distilled-rates", type=float, nargs="+", default=[1e-4, 2e-4, 4e-4])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bfloat16", action="store_true", help="distil in it; log it apart")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if not options.table:
        with Store(options.store) as store:
            complete(options, store)
    print_table(options.log)


def complete(options: argparse.Namespace, store: Store) -> None:
    """Every run that the log lacks: the rates with the first seed, then the best with all."""
    bench = prepared(options, store)
    if not logged(options.log):
        for arm, artifact in (("whole", bench.teacher.artifact), ("cut", bench.start)):
            noted(options.log, judged(bench, artifact, arm, 0, 0.0, time.perf_counter_ns()))
    tried = {TUNED: options.tuned_rates, DISTILLED: options.distilled_rates, MORE: []}
    for arm in options.arms:
        for rate in tried[arm]:
            unless_done(bench, arm, 0, rate)
    for arm in options.arms:
        for seed in range(options.seeds):
            unless_done(bench, arm, seed, chosen_rate(logged(options.log), arm))


def unless_done(bench: Bench, arm: str, seed: int, rate: float) -> None:
    """Run it and write it down, unless this or another process has."""
    done = logged(bench.options.log)
    if not any((run.arm, run.seed, run.rate) == (arm, seed, rate) for run in done):
        noted(bench.options.log, recovered(bench, arm, seed, rate))


def prepared(options: argparse.Namespace, store: Store) -> Bench:
    """The teacher, both lessons, and the one start."""
    teacher = resolve_model(MODEL, store=store)
    request = DistillRequest(teacher=MODEL, data=MODEL, output=Path("unused"))
    plain = prepare_lesson(gather_texts(request, teacher, store), teacher, store)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "more.txt")
        archive = stored_archive(store).folder / DATA.file_name
        texts = [t.text for name in ("tweets", "amazon") for t in read_demo_data(archive, name)]
        path.write_text("\n".join(" ".join(text.split()) for text in texts), "utf-8")
        wider = msgspec.structs.replace(request, unlabelled=path)
        more = prepare_lesson(gather_texts(wider, teacher, store), teacher, store)
    prune = Prune(layers=spread_layers(6, options.layers), ffn=options.ffn)
    cutting = workbench(store, teacher, plain, options.threads, seed=0)
    recipe = Recipe(name="start", steps=(prune,))
    start = make(recipe, teacher.artifact, cutting, silent).artifact
    print(start.notes[-1], flush=True)
    for name, lesson in (("texts", plain), ("more texts", more)):
        print(f"{name}: {json.dumps(lesson.texts.sizes)}", flush=True)
    return Bench(store=store, teacher=teacher, start=start, plain=plain, more=more, options=options)


def workbench(
    store: Store, teacher: SourceModel, lesson: Prepared, threads: int, *, seed: int
) -> Workbench:
    """As `distill` makes it."""
    return Workbench(
        store=store,
        interface=teacher.interface,
        samples=lesson.stored.samples,
        samples_digest=lesson.stored.samples_digest,
        seed=seed,
        threads=threads,
        lesson=lesson.stored.lesson,
    )


def recovered(bench: Bench, arm: str, seed: int, rate: float) -> Run:
    """Train one arm and judge it."""
    began = time.perf_counter_ns()
    if arm == TUNED:
        with tempfile.TemporaryDirectory() as scratch:
            artifact = fine_tuned(bench, Path(scratch), seed, rate)
            return judged(bench, artifact, arm, seed, rate, began)
    lesson = bench.more if arm == MORE else bench.plain
    distil = Distil(
        epochs=bench.options.epochs,
        batch=bench.options.batch,
        learning_rate=rate,
        patience=PATIENCE,
        layers=spread_layers(6, bench.options.layers),
        bfloat16=bench.options.bfloat16,
    )
    at = workbench(bench.store, bench.teacher, lesson, bench.options.threads, seed=seed)
    recipe = Recipe(name=arm, steps=(distil,))
    artifact = make(recipe, bench.start, at, silent).artifact
    return judged(bench, artifact, arm, seed, rate, began)


def fine_tuned(bench: Bench, scratch: Path, seed: int, rate: float) -> Artifact:
    """All weights on the labels, as `finetune --method full` does: the best epoch stays."""
    import torch

    from deployopt.modeling.training.job import Job, Labelled, Labels
    from deployopt.modeling.training.run import train

    torch.set_num_threads(bench.options.threads)
    texts = bench.plain.texts

    def labelled(split: str, path: Path) -> Labelled:
        from deployopt.core.examples import decode_examples

        feeds = decode_examples(path).inputs
        lengths = [len_of(feed) for feed in feeds]
        return Labelled(inputs=feeds, classes=texts.classes[split], lengths=lengths)

    job = Job(
        folder=bench.start.folder,
        origin=bench.teacher.name,
        lessons=Labels(
            interface=bench.teacher.interface,
            new_head=False,
            train=labelled(TRAIN, bench.plain.stored.lesson.train),
            validation=labelled(VALIDATION, bench.plain.stored.lesson.validation),
            encode=as_feed,
        ),
        options=TrainingOptions(
            method=Method.FULL,
            epochs=bench.options.epochs,
            batch=bench.options.batch,
            learning_rate=rate,
            patience=PATIENCE,
            seed=seed,
        ),
        workdir=scratch,
        checkpoints=Nowhere(),
        resume=False,
        watcher=SILENT,
    )
    return msgspec.structs.replace(bench.start, folder=train(job).folder, digest="")


class Nowhere:
    """A run of minutes is not kept half-way."""

    def save(self, folder: Path) -> None:
        """Let it go."""

    def load(self) -> Path | None:
        """There is never one."""
        return None


def as_feed(example: Example) -> Feed:
    """The lesson's examples are encoded already."""
    if isinstance(example, str):
        raise TypeError("a lesson holds model inputs")
    return example


def len_of(example: Example) -> int:
    """Tokens."""
    return int(as_feed(example)["input_ids"].shape[1])


def judged(bench: Bench, artifact: Artifact, arm: str, seed: int, rate: float, began: int) -> Run:
    """Right and wrong on the gate split; the share right on the validation split."""
    from deployopt.core.examples import decode_examples

    source = msgspec.structs.replace(bench.teacher, artifact=artifact)
    threads, texts = bench.options.threads, bench.plain.texts
    checked = [as_feed(x) for x in decode_examples(bench.plain.stored.lesson.validation).inputs]
    said = predict_reference(source, checked, threads, silent).argmax(axis=1)
    answers = predict_reference(source, bench.plain.held_out, threads, silent).argmax(axis=1)
    right = answers == np.asarray(texts.classes[HELD_OUT])
    return Run(
        arm=arm,
        seed=seed,
        rate=rate,
        epochs=bench.options.epochs,
        validation=float((said == np.asarray(texts.classes[VALIDATION])).mean()),
        seconds=(time.perf_counter_ns() - began) / 1e9,
        right="".join("1" if one else "0" for one in right),
    )


def silent(_share: float, _words: str) -> None:
    """No one is watching."""


def logged(path: Path) -> list[Run]:
    """Every run so far."""
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=Run) for line in path.read_bytes().splitlines() if line]


def noted(path: Path, run: Run) -> None:
    """Into the log, at once."""
    with path.open("ab") as stream:
        stream.write(msgspec.json.encode(run) + b"\n")
    right = run.rights.mean()
    print(
        f"{run.arm}, seed {run.seed}, rate {run.rate:g}: {right:.2%} right, "
        f"{run.validation:.2%} of the validation split, {run.seconds:.0f} s",
        flush=True,
    )


def chosen_rate(runs: list[Run], arm: str) -> float:
    """What the validation split likes best with the first seed; of equals the lower."""
    searched = DISTILLED if arm == MORE else arm
    tried = [run for run in runs if run.arm == searched and run.seed == 0]
    return max(tried, key=lambda run: (run.validation, -run.rate)).rate


def print_table(path: Path) -> None:
    """Markdown: a row a seed, a row for all seeds, and each distilled arm against fine-tuning."""
    runs = logged(path)
    whole = next(run.rights for run in runs if run.arm == "whole")
    cut = next(run.rights for run in runs if run.arm == "cut")
    print(f"\nWhole model: {whole.mean():.2%} of {len(whole)} right; as cut: {cut.mean():.2%}.\n")
    print("| recovery | rate | seed | accuracy | loss, points | lost, gained | minutes |")
    print("|---|---|---|---|---|---|---|")
    losses: dict[str, npt.NDArray[np.float64]] = {}
    for arm in ARMS:
        chosen = list(of_best_rate(runs, arm))
        if chosen:
            losses[arm] = np.mean([whole.astype(float) - run.rights for run in chosen], axis=0)
            print_arm(arm, chosen, whole, losses[arm])
    print("\n| against fine-tuning | share of its loss | 95 % interval | loss minus half of it |")
    print("|---|---|---|---|")
    for arm in (DISTILLED, MORE):
        if arm in losses and TUNED in losses:
            print_against(arm, losses[arm], losses[TUNED])


def of_best_rate(runs: list[Run], arm: str) -> Iterator[Run]:
    """The arm's runs at the rate that was chosen."""
    if any(run.arm == arm for run in runs):
        rate = chosen_rate(runs, arm)
        yield from (run for run in runs if run.arm == arm and run.rate == rate)


def print_arm(arm: str, runs: list[Run], whole: Right, loss: npt.NDArray[np.float64]) -> None:
    """A row a seed with the paired bounds, and the mean over seeds."""
    for run in runs:
        right = run.rights
        lost, gained = int((whole & ~right).sum()), int((~whole & right).sum())
        bounds = loss_bounds(lost, gained, len(whole))
        print(
            f"| {arm} | {run.rate:g} | {run.seed} | {right.mean():.2%} | {shown(bounds)} "
            f"| {lost}, {gained} | {run.seconds / 60:.1f} |"
        )
    accuracy = np.mean([run.rights.mean() for run in runs])
    print(
        f"| **{arm}** | {runs[0].rate:g} | all {len(runs)} | {accuracy:.2%} | "
        f"{shown(mean_loss_bounds(loss))} | | {sum(run.seconds for run in runs) / 60:.1f} |"
    )


def shown(bounds: LossBounds) -> str:
    """In points, with the one-sided 95 % bounds."""
    return f"{100 * bounds.estimate:.2f} ({100 * bounds.lower:.2f} to {100 * bounds.upper:.2f})"


def print_against(arm: str, loss: npt.NDArray[np.float64], tuned: npt.NDArray[np.float64]) -> None:
    """The ratio of the losses by bootstrap over examples, and the bound that the aim asks for."""
    random = np.random.default_rng(0)
    rows = random.integers(0, len(loss), (RESAMPLES, len(loss)))
    ratios = loss[rows].mean(axis=1) / tuned[rows].mean(axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    over = mean_loss_bounds(loss - tuned / 2, span=2.0)
    print(
        f"| {arm} | {loss.mean() / tuned.mean():.2f} | {low:.2f} to {high:.2f} "
        f"| {100 * over.estimate:.2f} points (at most {100 * over.upper:.2f}) |"
    )


if __name__ == "__main__":
    main()
