"""Where nothing fits as asked: what would, one sentence each, with the numbers that say so.

Every number was computed: the change was tried, and with it the whole band fits; but for the
processor beside a card, whose memory no target tells.
"""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.counts import show_short
from deployopt.core.evidence import Estimate
from deployopt.core.fit import Use
from deployopt.core.plan import Facts
from deployopt.core.request import FitRequest
from deployopt.core.target import Target
from deployopt.planning.by_hand import typical_architecture
from deployopt.planning.fitting.arithmetic import usual_precisions
from deployopt.planning.fitting.checking import check_fit
from deployopt.planning.memory.inference import inference_need
from deployopt.planning.rates import kind_of
from deployopt.planning.targets import load_target, target_names
from deployopt.planning.usable import fits_inside, shown_need, splits

_LEAST: Final = 10_000_000
"""Parameters below which nobody looks for a smaller model of a usual shape."""
_SMALLER: Final = 0.95
OTHERS: Final = 4
"""Targets that are named at most."""


def give_up_inference(
    request: FitRequest, architecture: Architecture, uses: tuple[Use, ...]
) -> tuple[str, ...]:
    """Less at once, lower precision, a smaller model, the card's own host, another target."""
    if not uses:
        return ()
    smallest = min(uses, key=lambda use: use.need.total.value)
    return (
        *_smaller_batch(request, architecture, smallest),
        *_shorter_context(request, architecture, smallest),
        *_lower_precision(request, architecture, uses),
        *_smaller_model(request, architecture, smallest),
        *_beside_the_card(request, architecture),
        *other_targets(request.target, lambda other: _best_elsewhere(request, architecture, other)),
    )


def give_up_graph(request: FitRequest, facts: Facts, uses: tuple[Use, ...]) -> tuple[str, ...]:
    """What `build` would say of it."""
    return check_fit(request.target, facts, tuple(use.precision for use in uses)).what_would_fit


def other_targets(target: Target, best: Callable[[Target], str | None]) -> tuple[str, ...]:
    """The shipped targets for which `best` has something to say, least memory first."""
    others = sorted(
        (load_target(name) for name in target_names() if name != target.name),
        key=lambda other: (other.hardware.memory_usable, other.name),
    )
    found: list[str] = []
    for other in others:
        said = best(other)
        if said is not None:
            found.append(f"Target {other.name} ({other.title}): {said}.")
        if len(found) == OTHERS:
            break
    return tuple(found)


def _smaller_batch(request: FitRequest, architecture: Architecture, use: Use) -> Iterable[str]:
    if request.batch == 1 or use.largest_batch is None:
        return
    need = _need(architecture, request.target, use.precision, use.largest_batch, use.context)
    yield (
        f"Batch {use.largest_batch} instead of {request.batch}: {use.precision} then needs "
        f"{shown_need(need)}."
    )


def _shorter_context(request: FitRequest, architecture: Architecture, use: Use) -> Iterable[str]:
    if use.context is None or use.largest_context is None:
        return
    need = _need(architecture, request.target, use.precision, request.batch, use.largest_context)
    yield (
        f"A context of {use.largest_context:,} tokens instead of {use.context:,}: {use.precision} "
        f"then needs {shown_need(need)}."
    )


def _lower_precision(
    request: FitRequest, architecture: Architecture, uses: tuple[Use, ...]
) -> Iterable[str]:
    """The highest of those that were not looked at and that fits."""
    tried = {use.precision for use in uses}
    for precision in usual_precisions(request.target, architecture):
        if precision in tried:
            continue
        need = _need(architecture, request.target, precision, request.batch, uses[0].context)
        if fits_inside(need, request.target):
            yield f"{precision} instead: it needs {shown_need(need)}."
            return


def _smaller_model(request: FitRequest, architecture: Architecture, use: Use) -> Iterable[str]:
    """The first that fits of ever smaller models of the usual shape; shapes jump, so each is tried.

    None of a net without layers of one kind, which has no usual shape.
    """
    if not architecture.stacks:
        return
    count = architecture.parameters * min(1.0, use.available_bytes / use.need.total.upper)
    while count >= _LEAST:
        rounded = int(float(f"{count:.1e}"))
        smaller = typical_architecture(rounded, encoder=not architecture.generates)
        need = _need(smaller, request.target, use.precision, use.batch, use.context)
        if rounded < architecture.parameters and fits_inside(need, request.target):
            shown = show_short(rounded)
            yield f"A model of the usual shape with about {shown} parameters, in {use.precision}."
            return
        count *= _SMALLER


def _beside_the_card(request: FitRequest, architecture: Architecture) -> Iterable[str]:
    """The last step down of a card with memory of its own."""
    if kind_of(request.target) != "nvidia-gpu":
        return
    runtime = msgspec.structs.replace(
        request.target.runtime, provider="cpu", runtimes=("onnxruntime",)
    )
    host = msgspec.structs.replace(request.target, runtime=runtime)
    precision = usual_precisions(host, architecture)[-1]
    need = _need(architecture, host, precision, request.batch, request.context)
    yield (
        f"The processor beside the card: {precision} needs {shown_need(need)} of main memory, of "
        "which the target says nothing. `deployopt detect` there writes a target of its own."
    )


def _best_elsewhere(request: FitRequest, architecture: Architecture, other: Target) -> str | None:
    asked = request.precisions or usual_precisions(other, architecture)
    for precision in asked:
        for cards in splits(architecture, other):
            need = _need(architecture, other, precision, request.batch, request.context, cards)
            if fits_inside(need, other):
                where = "" if cards == 1 else f" over {cards} GPUs"
                return f"{precision}{where}, {shown_need(need)}"
    return None


def _need(
    architecture: Architecture,
    target: Target,
    precision: Precision,
    batch: int,
    context: int | None,
    devices: int = 1,
) -> Estimate:
    return inference_need(
        architecture,
        target=target,
        precision=precision,
        batch=batch,
        context=context,
        devices=devices,
    ).total
