"""Searches as a build would give them: forty shapes timed, three rungs, forty layers ranked."""

from typing import Final

import msgspec
import numpy as np

from deployopt.core.evidence import Evidence
from deployopt.core.paired import loss_bounds
from deployopt.core.result import BuildResult, CandidateResult
from deployopt.core.search import (
    Effort,
    LayerError,
    Profile,
    SearchResult,
    TimedShape,
    TrainedShape,
)
from tests.fakes import results

EXAMPLES: Final = 1200
FLOAT_S: Final = 0.0381
WINNER: Final = "4 layers, ffn 50 %, int8"
_LAYERS: Final = (0, 1, 2, 3, 4, 5)
_PLACES: Final = ("attention/q_lin", "attention/out_lin", "ffn/lin1", "ffn/lin2")


def profile(layers: int = 6, ffn: float = 1.0, heads: float = 1.0) -> Profile:
    """The first `layers` of six."""
    return Profile(layers=_LAYERS[:layers] if layers < len(_LAYERS) else (), ffn=ffn, heads=heads)


def shape(kept: Profile, ratio: float, verdict: str, *, proxy: bool = True) -> TimedShape:
    """Timed in int8, 3 % to either side."""
    return TimedShape(
        profile=kept,
        form="int8",
        ratio=ratio,
        lower=0.97 * ratio,
        upper=1.03 * ratio,
        median_s=FLOAT_S * ratio,
        tail_s=1.1 * FLOAT_S * ratio,
        rounds=5,
        evidence=Evidence.PROXY if proxy else Evidence.TARGET,
        predicted_s=2.9 * FLOAT_S * ratio if proxy else None,
        macs=2.8e9 * ratio,
        verdict=verdict,
    )


def shapes(number: int = 40, *, proxy: bool = True) -> tuple[TimedShape, ...]:
    """A grid of layers, widths and heads, in the order it was timed."""
    grid = [
        (layers, ffn, heads)
        for layers in (6, 5, 4, 3, 2)
        for ffn in (1.0, 0.75, 0.5, 0.25)
        for heads in (1.0, 0.5)
    ][:number]
    made = []
    for layers, ffn, heads in grid:
        ratio = 0.44 * layers / 6 * (0.2 + 0.5 * ffn + 0.3 * heads)
        story = "over the latency budget" if ratio > 0.25 else "taught"
        made.append(shape(profile(layers, ffn, heads), ratio, story, proxy=proxy))
    return tuple(made)


def training(kept: Profile, rung: int, lost: int, *, promoted: bool = False) -> TrainedShape:
    """`lost` more wrong than the reference; 3, 9, 21 epochs by rung 1, 2, 3."""
    return TrainedShape(
        recipe=f"{kept.words}, int8",
        profile=kept,
        rung=rung,
        epochs=3 * (2**rung - 1),
        seconds=38.0 * 2**rung,
        agreement=1 - (lost + 12) / EXAMPLES,
        loss=loss_bounds(lost + 9, 9, EXAMPLES),
        examples=EXAMPLES,
        promoted=promoted,
    )


def failed_training(kept: Profile) -> TrainedShape:
    return TrainedShape(
        recipe=f"{kept.words}, int8",
        profile=kept,
        rung=1,
        epochs=1,
        seconds=14.0,
        failure="the loss was not a number in epoch 1; a lower learning rate may do",
    )


def trainings() -> tuple[TrainedShape, ...]:
    """Eight on the first rung, one of them failed; four and two above."""
    first = [(4, 0.5), (3, 0.5), (4, 0.25), (5, 0.25), (3, 0.75), (2, 1.0), (2, 0.5)]
    kept = [profile(*sizes) for sizes in first]
    return (
        *(training(p, 1, 9 + 5 * k, promoted=k < 4) for k, p in enumerate(kept)),
        failed_training(profile(3, 0.25)),
        *(training(p, 2, 5 + 4 * k, promoted=k < 2) for k, p in enumerate(kept[:4])),
        *(training(p, 3, 2 + 8 * k) for k, p in enumerate(kept[:2])),
    )


def layers(number: int = 40) -> tuple[LayerError, ...]:
    """Errors over four decades; the two worst go back to float."""
    names = [
        f"/distilbert/transformer/layer.{k}/{place}/MatMul" for k in range(10) for place in _PLACES
    ][:number]
    chance = np.random.default_rng(3)
    errors = sorted((float(10 ** chance.uniform(-5.5, -1.4)) for _ in names), reverse=True)
    return tuple(
        LayerError(
            name=name,
            operator="MatMul",
            weights=2_359_296 if "ffn" in name else 589_824,
            error=error,
            changed=min(1.0, 0.4 * error),
            kept_float=k < 2,
        )
        for k, (name, error) in enumerate(zip(names, errors, strict=True))
    )


def search_result(*, proxy: bool = True, **more: object) -> SearchResult:
    """Of forty minutes; `more` overrides fields."""
    found = SearchResult(
        effort=Effort.DEFAULT,
        time_limit_s=2400.0,
        spent_s=2290.0,
        resumed=True,
        log="/home/ada/.cache/deployopt/searches/demo-sentiment-rpi4.jsonl",
        teacher="the model as it came",
        train_data="demo-sentiment's training split",
        train_examples=11_773,
        unlabelled_examples=6_408,
        shapes=shapes(proxy=proxy),
        trainings=trainings(),
        layers=layers(),
        front=(WINNER, "3 layers, ffn 50 %, int8", "int8", "float"),
        why="4 layers, ffn 50 %, int8 is the fastest whose loss is bounded below 1 pt at the gate; "
        "3 layers, ffn 50 %, int8 is 1.3 times faster and lost 1.92 pt at most.",
        notes=("17 texts of the training data resemble examples of the gate and were left out.",),
    )
    return msgspec.structs.replace(found, **more)


def candidates(*, proxy: bool = True) -> tuple[CandidateResult, ...]:
    """Seven that were measured in full, one that failed."""
    made = [
        ("float", FLOAT_S, (0, 0)),
        ("int8", 0.0168, (9, 6)),
        ("int8, 2 nodes float", 0.0181, (5, 4)),
        (WINNER, 0.0081, (11, 9)),
        ("3 layers, ffn 50 %, int8", 0.0062, (27, 9)),
        ("4 layers, ffn 25 %, heads 50 %, int8", 0.0069, (24, 9)),
        ("openvino-int8", 0.0151, (10, 7)),
    ]
    ready = [
        results.candidate(
            name, "Came out of the search.", time, counts, place=k, arms=len(made), proxy=proxy
        )
        for k, (name, time, counts) in enumerate(made)
    ]
    won = msgspec.structs.replace(ready[3], chosen=True, why="Fastest that passed the gate.")
    return (*ready[:3], won, *ready[4:], results.failed("int8-static"))


def build(word: str = "provisional", search: SearchResult | None = None) -> BuildResult:
    """A build that searched and measured eight candidates."""
    proxy = word == "provisional"
    return results.build_result(
        word,
        candidates=candidates(proxy=proxy),
        search=search or search_result(proxy=proxy),
    )


def empty() -> SearchResult:
    """Effort quick: nothing was trained, nothing ranked, no log written."""
    return SearchResult(effort=Effort.QUICK, spent_s=4.0, log="")


def only_shapes() -> SearchResult:
    """The time limit was reached before any training; bounds and predictions are not known."""
    bare = [
        msgspec.structs.replace(s, lower=None, upper=None, predicted_s=None, macs=None, verdict="")
        for s in shapes(6)
    ]
    return search_result(
        shapes=tuple(bare), trainings=(), layers=(), front=(), why="", train_data="", teacher=""
    )


def nothing_in_budget() -> BuildResult:
    """Every candidate missed; what came nearest and what to relax."""
    search = search_result(
        proxy=False,
        why="",
        nearest_miss=f"{WINNER} takes 73.1 ms at p95, 13.1 ms over the budget, with 0.17 pt lost.",
        relax=(
            "latency_p95 to 77 ms: then it is met by the whole bound.",
            "accuracy_drop to 2.5 pt: then 3 layers, ffn 50 %, int8 meets both.",
        ),
    )
    return build("rejected", search)


def unknown() -> SearchResult:
    """Every number that may be missing is missing, and the ones that may be odd are odd."""
    bare = [msgspec.structs.replace(t, agreement=None, loss=None, examples=0) for t in trainings()]
    odd = (0.0, float("nan"), float("inf"), 1e-3)
    ranked = [
        msgspec.structs.replace(layer, error=error)
        for layer, error in zip(layers(len(odd)), odd, strict=True)
    ]
    timed = [
        msgspec.structs.replace(s, ratio=r, lower=None, upper=None)
        for s, r in zip(shapes(3), (0.0, float("nan"), 0.3), strict=True)
    ]
    return search_result(
        time_limit_s=None,
        shapes=tuple(timed),
        trainings=tuple(bare),
        layers=tuple(ranked),
        nearest_miss=None,
    )


def hostile(text: str) -> BuildResult:
    """Every free string of a build that searched replaced by `text`."""
    return results.with_text(SEARCHES["nothing in budget"], text)


SEARCHES: Final[dict[str, BuildResult]] = {
    "forty shapes": build(),
    "on the target": build("accepted"),
    "empty": build(search=empty()),
    "only shapes": build(search=only_shapes()),
    "nothing in budget": nothing_in_budget(),
    "unknown": build(search=unknown()),
}
