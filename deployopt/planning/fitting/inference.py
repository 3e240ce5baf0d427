"""What fits a target, in every precision: memory, standing, the largest batch and context.

In: a request and a model's shape or its graph's facts. Out: a `Fit`, whose uses stand from the
highest precision to the lowest. A use is inside only when its whole band is. Speeds are filled in
by the caller.
"""

from collections.abc import Mapping
from typing import Final

from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.fit import Fit, Use
from deployopt.core.memory import MemoryNeed
from deployopt.core.plan import Facts
from deployopt.core.request import FitRequest
from deployopt.core.standing import Standing, standing_between
from deployopt.core.target import Target
from deployopt.core.units import Dimension, show_quantity
from deployopt.planning.fitting.arithmetic import HIGHEST_FIRST, arithmetic, usual_precisions
from deployopt.planning.fitting.context import over_the_limit, scored_prompt, within_positions
from deployopt.planning.fitting.giving_up import give_up_graph, give_up_inference
from deployopt.planning.fitting.searching import largest
from deployopt.planning.fitting.thumb import inference_thumb
from deployopt.planning.memory.inference import graph_need, inference_need
from deployopt.planning.usable import card_count, reads_text, splits, usable_bytes

BATCH_MAX: Final = 65_536
CONTEXT_MAX: Final = 1 << 20
"""Where a config sets no limit."""
_GRAPH_PRECISIONS: Final = (Precision.FP32, Precision.FP16, Precision.INT8)


def fit_inference(request: FitRequest, name: str, architecture: Architecture) -> Fit:
    """Running the model, in the precisions asked for or in all that make sense there."""
    asked = request.precisions or usual_precisions(request.target, architecture)
    uses = tuple(_use(request, architecture, p) for p in HIGHEST_FIRST if p in asked)
    best = _first_inside(uses)
    return Fit(
        target=request.target,
        model=name,
        architecture=architecture,
        parameters=architecture.parameters,
        uses=uses,
        best=best,
        give_up=() if best is not None else give_up_inference(request, architecture, uses),
        cross_checks=inference_thumb(uses, best, architecture.parameters),
        warnings=(
            *over_the_limit(request.context, architecture),
            *scored_prompt(request.target, architecture, uses, best),
        ),
    )


def fit_graph(request: FitRequest, name: str, facts: Facts) -> Fit:
    """Running a graph, of which only operators and weights are known."""
    asked = request.precisions or _GRAPH_PRECISIONS
    uses = tuple(_graph_use(request, facts, p) for p in HIGHEST_FIRST if p in asked)
    best = _first_inside(uses)
    return Fit(
        target=request.target,
        model=name,
        architecture=None,
        parameters=facts.parameters,
        uses=uses,
        best=best,
        give_up=() if best is not None else give_up_graph(request, facts, uses),
        cross_checks=inference_thumb(uses, best, facts.parameters),
    )


def _use(request: FitRequest, architecture: Architecture, precision: Precision) -> Use:
    target = request.target
    available = usable_bytes(target)
    context = _context(request.context, architecture)

    def need(batch: int, tokens: int | None, devices: int = 1) -> MemoryNeed:
        return inference_need(
            architecture,
            target=target,
            precision=precision,
            batch=batch,
            context=tokens,
            devices=devices,
        )

    cards = _cards(
        target, {n: need(request.batch, context, n) for n in splits(architecture, target)}
    )
    found = need(request.batch, context, cards)
    can = arithmetic(target, precision)
    return Use(
        precision=precision,
        batch=request.batch,
        context=context,
        devices=cards,
        need=found,
        available_bytes=available,
        standing=standing_between(found.total.lower, found.total.upper, available),
        largest_batch=largest(
            lambda batch: need(batch, context, cards).total.upper <= available, BATCH_MAX
        ),
        largest_context=None
        if context is None
        else largest(
            lambda tokens: need(request.batch, tokens, cards).total.upper <= available,
            max(architecture.positions or CONTEXT_MAX, context),
        ),
        supported=can.supported,
        note=_joined(can.note, _split_note(cards, found, target)),
    )


def _cards(target: Target, needs: Mapping[int, MemoryNeed]) -> int:
    """As few as surely do; else as few as may do; else all there are."""
    available = usable_bytes(target)
    surely = (n for n, need in needs.items() if need.total.upper <= available)
    perhaps = (n for n, need in needs.items() if need.total.lower <= available)
    return next(surely, None) or next(perhaps, None) or max(needs)


def _split_note(cards: int, need: MemoryNeed, target: Target) -> str:
    if cards == 1:
        return ""
    one = show_quantity(need.total.value, Dimension.SIZE)
    return (
        f"split over {cards} of the {card_count(target)} GPUs by tensor parallelism, {one} on each"
    )


def _graph_use(request: FitRequest, facts: Facts, precision: Precision) -> Use:
    target = request.target
    available = usable_bytes(target)

    def need(batch: int) -> MemoryNeed:
        return graph_need(target, facts, precision, batch=batch)

    found = need(request.batch)
    can = arithmetic(target, precision)
    return Use(
        precision=precision,
        batch=request.batch,
        context=facts.length,
        need=found,
        available_bytes=available,
        standing=standing_between(found.total.lower, found.total.upper, available),
        largest_batch=largest(lambda batch: need(batch).total.upper <= available, BATCH_MAX),
        supported=can.supported,
        note=can.note,
    )


def _context(asked: int | None, architecture: Architecture) -> int | None:
    if not reads_text(architecture):
        return None
    return within_positions(asked, architecture)


def _first_inside(uses: tuple[Use, ...]) -> int | None:
    return next((i for i, use in enumerate(uses) if use.standing is Standing.INSIDE), None)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
