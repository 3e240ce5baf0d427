"""How often the bound on a detector's loss of mAP is below the true loss, at a nominal 5 %.

A population of images is drawn with boxes of several classes, some rare, and what a reference and a
candidate find there; its own loss of mAP is the truth. Samples of it are judged as the gate judges
them, by the jackknife with its floor, and by the BCa bootstrap of core/bootstrap.py beside it. Run:

    python benchmarks/map_coverage.py    # an hour; --bootstrap for the other bound too
"""

import argparse
import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.bootstrap import bca_bounds
from deployopt.core.paired import EXACT_BELOW, LossBounds
from deployopt.core.precision_loss import PrecisionLoss, precision_loss_bounds
from deployopt.device.detecting.pairing import finds_of
from deployopt.device.detecting.precision import (
    ClassTable,
    changes_spoiled_by_each,
    changes_without_each,
    mean_precision,
    whole_precision,
)

POPULATION = 20_000
THRESHOLDS = 10


class World(msgspec.Struct, frozen=True, kw_only=True):
    """Classes of falling frequency; a candidate that misses, blurs and reorders more."""

    name: str
    classes: int
    falls: float
    """Each class is so many times as frequent as the one before."""
    missed: float
    """Share of images in which the candidate finds nothing."""
    blur: float
    """Standard deviation of what is added to the candidate's scores."""
    shift: float
    """Standard deviation of the IoU thresholds by which the candidate's boxes are worse."""


WORLDS = (
    World(name="3 classes, reordered", classes=3, falls=0.7, missed=0.0, blur=0.15, shift=0.7),
    World(name="10 classes, boxes moved", classes=10, falls=0.8, missed=0.0, blur=0.05, shift=1.2),
    World(
        name="10 classes, images missed", classes=10, falls=0.8, missed=0.03, blur=0.0, shift=0.0
    ),
    World(name="30 classes, all of it", classes=30, falls=0.9, missed=0.01, blur=0.1, shift=0.5),
    World(name="30 classes, a little", classes=30, falls=0.9, missed=0.003, blur=0.03, shift=0.15),
)

Tables = tuple[ClassTable, ...]


class Detections(msgspec.Struct, frozen=True, kw_only=True):
    """Of one class, unranked: owners, the number of thresholds passed (0: nothing), scores."""

    owners: npt.NDArray[np.intp]
    passed: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    boxes: npt.NDArray[np.float64]


def population(world: World, seed: int) -> list[tuple[Detections, Detections]]:
    """Reference and candidate, class by class."""
    random = np.random.default_rng(seed)
    lost = random.random(POPULATION) < world.missed
    made = []
    for number in range(world.classes):
        boxes = random.poisson(1.0 * world.falls**number, POPULATION)
        owners = np.repeat(np.arange(POPULATION), boxes)
        quality = random.normal(6.0, 3.0, len(owners))
        found = random.random(len(owners)) < 0.9
        errors = random.poisson(0.8 * world.falls**number, POPULATION)
        false = np.repeat(np.arange(POPULATION), errors)
        scores = np.concatenate(
            [0.4 + 0.05 * quality[found] + random.normal(0, 0.15, found.sum()),
             random.normal(0.3, 0.2, len(false))]
        )  # fmt: skip
        everyone = np.concatenate([owners[found], false])
        passed = np.clip(np.round(quality), 0, THRESHOLDS).astype(int)
        reached = np.concatenate([passed[found], np.zeros(len(false), int)])
        moved = np.round(reached - np.abs(random.normal(0, world.shift, len(reached))))
        worse = np.where(reached > 0, np.clip(moved, 0, THRESHOLDS), 0).astype(int)
        kept = ~lost[everyone]
        blurred = scores + random.normal(0, 1, len(scores)) * world.blur
        there = boxes.astype(np.float64)
        made.append(
            (
                Detections(owners=everyone, passed=reached, scores=scores, boxes=there),
                Detections(
                    owners=everyone[kept], passed=worse[kept], scores=blurred[kept], boxes=there
                ),
            )
        )
    return made


def table(detections: Detections, chosen: npt.NDArray[np.intp]) -> ClassTable:
    """Of the chosen images, which may come twice."""
    order = np.argsort(detections.owners, kind="stable")
    owners = detections.owners[order]
    first, last = np.searchsorted(owners, chosen), np.searchsorted(owners, chosen, side="right")
    counts = last - first
    at = order[
        np.repeat(first, counts)
        + np.arange(counts.sum())
        - np.repeat(np.cumsum(counts) - counts, counts)
    ]
    place = np.repeat(np.arange(len(chosen)), counts)
    ranked = np.argsort(-detections.scores[at], kind="stable")
    found = detections.passed[at][ranked][None, :] > np.arange(THRESHOLDS)[:, None]
    return ClassTable(
        images=place[ranked],
        found=found,
        counts=np.ones_like(found),
        boxes=detections.boxes[chosen],
    )


def tables(
    made: Sequence[tuple[Detections, Detections]], chosen: npt.NDArray[np.intp]
) -> tuple[Tables, Tables]:
    """Reference's and candidate's."""
    reference, candidate = zip(
        *((table(a, chosen), table(b, chosen)) for a, b in made), strict=True
    )
    return tuple(reference), tuple(candidate)


def loss_of(reference: Tables, candidate: Tables) -> PrecisionLoss:
    """As device/detecting/pairing.py has it."""
    n = len(reference[0].boxes)
    one, other = whole_precision(reference), whole_precision(candidate)
    without = changes_without_each(reference) - changes_without_each(candidate)
    unlike = (finds_of(reference, n) != finds_of(candidate, n)).any(axis=1)
    return PrecisionLoss(
        reference=one,
        candidate=other,
        boxes=0,
        unlike=int(unlike.sum()),
        pulls=tuple(-(n - 1) * without),
        costs=tuple(-changes_spoiled_by_each(candidate)) if unlike.sum() < EXACT_BELOW else (),
    )


def bootstrap(reference: Tables, candidate: Tables, seed: int) -> LossBounds:
    """BCa, as GATE's other rule has it; all resamples at once."""
    n = len(reference[0].boxes)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(n, np.full(n, 1 / n), size=10_000).astype(float)
    weights = np.concatenate([np.ones((1, n)), drawn, 1.0 - np.eye(n)])
    values = iter(mean_precision(reference, weights) - mean_precision(candidate, weights))
    return bca_bounds(lambda _: float(next(values)), n, seed=seed)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--bootstrap", action="store_true")
    options = parser.parse_args()
    print("| world | true loss | images | jackknife below the truth | median upper |", end="")
    print(" BCa below the truth |" if options.bootstrap else "")
    for world in WORLDS:
        made = population(world, seed=1)
        reference, candidate = tables(made, np.arange(POPULATION))
        truth = whole_precision(reference) - whole_precision(candidate)
        for images in (300, 1000):
            random = np.random.default_rng(images)
            bold = bca_bold = 0
            uppers = []
            for sample in range(options.samples):
                sides = tables(made, random.integers(0, POPULATION, images))
                upper = precision_loss_bounds(loss_of(*sides), 0.95).upper
                uppers.append(upper)
                bold += upper < truth
                bca_bold += options.bootstrap and bootstrap(*sides, sample).upper < truth
            error = math.sqrt(0.05 * 0.95 / options.samples)
            shares = f"{bold / options.samples:.1%} ± {error:.1%} | {np.median(uppers):.2%} |"
            more = f" {bca_bold / options.samples:.1%} |" if options.bootstrap else ""
            print(f"| {world.name} | {truth:.2%} | {images} | {shares}{more}", flush=True)


if __name__ == "__main__":
    main()
