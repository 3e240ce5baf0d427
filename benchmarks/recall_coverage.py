"""How often the bound on the loss of recall is below the true loss, at a nominal 5 %.

Pairs of image and text are drawn whose embeddings lie near a place of their own; a candidate's are
blurred, all pulled towards one direction (so that a few are found by many), or spoilt in a few
pairs. The true loss is the mean over many gates of the same size. Beside the bound stands the one
that takes pairs for independent. Run:

    python benchmarks/recall_coverage.py    # some minutes; --samples 200 for a look
"""

import argparse
import math

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.mean_loss import mean_loss_bounds
from deployopt.core.recall_loss import RecallLoss, recall_loss_bounds
from deployopt.device.retrieving.pairing import Embeddings, pair_retrievals
from deployopt.device.retrieving.ranking import rank

Floats = npt.NDArray[np.float64]


class World(msgspec.Struct, frozen=True, kw_only=True):
    """`noise` parts image from text; what the candidate adds is `blur`, `pull` and `spoilt`."""

    name: str
    width: int
    noise: float
    clusters: int
    """Pairs lie around so many middles; 0: anywhere."""
    blur: float = 0.0
    pull: float = 0.0
    """Towards one direction of all texts, by a different amount each."""
    spoilt: float = 0.0
    """Share of pairs whose image is another altogether."""


WORLDS = (
    World(name="blurred", width=16, noise=0.9, clusters=0, blur=0.3),
    World(name="blurred, in 20 clusters", width=16, noise=0.5, clusters=20, blur=0.25),
    World(name="a few texts found by many", width=16, noise=0.7, clusters=0, pull=1.0),
    World(name="the same in 20 clusters", width=32, noise=0.5, clusters=20, pull=1.0),
    World(name="3 % spoilt", width=32, noise=0.6, clusters=0, spoilt=0.03),
    World(name="0.6 % spoilt", width=32, noise=0.6, clusters=0, spoilt=0.006),
    World(name="2 % spoilt, some pulled", width=32, noise=0.5, clusters=20, spoilt=0.02, pull=0.2),
    World(name="next to nothing", width=32, noise=0.5, clusters=0, blur=0.03),
)


def draw(world: World, pairs: int, random: np.random.Generator) -> tuple[Embeddings, Embeddings]:
    """The embeddings of a reference and of a candidate."""
    # What a world is made of is the same in every gate.
    fixed = np.random.default_rng(7)
    middles = fixed.standard_normal((max(1, world.clusters), world.width)) * 1.5
    hub = fixed.standard_normal(world.width)
    places = random.standard_normal((pairs, world.width))
    if world.clusters:
        places = 0.6 * places + middles[random.integers(0, world.clusters, pairs)]
    images = places + world.noise * random.standard_normal(places.shape)
    texts = places + world.noise * random.standard_normal(places.shape)
    blurred = images + world.blur * random.standard_normal(places.shape)
    spoilt = random.random(pairs) < world.spoilt
    blurred = np.where(spoilt[:, None], random.standard_normal(places.shape), blurred)
    pulled = texts + world.pull * random.exponential(1.0, (pairs, 1)) ** 2 * hub * 0.3
    return Embeddings(images=images, texts=texts), Embeddings(images=blurred, texts=pulled)


def judged(world: World, pairs: int, random: np.random.Generator) -> tuple[RecallLoss, Floats]:
    """The record of one gate, and the loss pair by pair."""
    reference, candidate = draw(world, pairs, random)
    groups = np.arange(pairs)
    captions = [str(number) for number in groups]
    shares = [
        (
            rank(one.images, one.texts, groups).right
            + 0.0
            + rank(one.texts, one.images, groups).right
        )
        / 2
        for one in (reference, candidate)
    ]
    return pair_retrievals(captions, reference, candidate).loss, shares[0] - shares[1]


def main() -> None:
    """Print a line a world."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=300)
    asked = parser.parse_args()
    print(f"{asked.pairs} pairs a gate, {asked.samples} gates; the bounds' confidence is 95 %")
    for world in WORLDS:
        random = np.random.default_rng(1)
        found = [judged(world, asked.pairs, random) for _ in range(asked.samples)]
        losses = [loss.reference - loss.candidate for loss, _ in found]
        true = math.fsum(losses) / len(losses)
        recall = math.fsum(loss.reference for loss, _ in found) / len(found)
        below = [recall_loss_bounds(loss, 0.95).upper < true for loss, _ in found]
        plain = [mean_loss_bounds(each, confidence=0.95).upper < true for _, each in found]
        shares = [sum(misses) / len(misses) for misses in (below, plain)]
        error = math.sqrt(0.05 * 0.95 / len(found))
        print(
            f"{world.name:28} recall {recall:6.1%}  loss {100 * true:5.2f} pt  "
            f"bound below it {shares[0]:5.1%}  as if independent {shares[1]:5.1%}  (± {error:.1%})"
        )


if __name__ == "__main__":
    main()
