"""Every model of the catalogue on the target: its memory, time and what speaks against it.

In: an entry and what is wanted. Out: a candidate. Arithmetic on shapes; what cannot be predicted
(the target gives no peak of that precision) stays out.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.catalogue.models import Entry, Quality
from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.evidence import Estimate
from deployopt.core.memory import MemoryNeed
from deployopt.core.workload import Workload
from deployopt.planning.entries import architecture_of
from deployopt.planning.generation import predict_generation
from deployopt.planning.memory import inference_need
from deployopt.planning.operations import facts_of
from deployopt.planning.predict import ENERGY_BAND, predict_latency
from deployopt.planning.recommending.candidate import Candidate, Footing
from deployopt.planning.recommending.limits import against, memory_limit, time_standing
from deployopt.planning.recommending.precisions import advised, precisions_for
from deployopt.planning.recommending.refusing import (
    refusal_before,
    refusal_by_length,
    refusal_of,
)
from deployopt.planning.recommending.setting import on_gpu
from deployopt.planning.recommending.wants import Wants
from deployopt.planning.usable import splits, usable_bytes

_AUDIO_PROMPT: Final = 4
"""Tokens that tell a speech model the language and the task."""


def look(entry: Entry, wants: Wants, quality: Quality | None) -> Candidate:
    """The entry at every precision that the target may run it in, and the one to advise."""
    early = refusal_before(entry, wants)
    if early:
        return Candidate(entry=entry, quality=quality, refusal=early)
    architecture = architecture_of(entry)
    long = refusal_by_length(entry, architecture, wants)
    if long:
        return Candidate(entry=entry, architecture=architecture, quality=quality, refusal=long)
    footings = tuple(
        footing_at(architecture, wants, precision)
        for precision in precisions_for(wants.target, wants.task)
    )
    at = advised(footings, gains=not on_gpu(wants.target))
    candidate = Candidate(
        entry=entry, architecture=architecture, quality=quality, at=at, footings=footings
    )
    return msgspec.structs.replace(candidate, refusal=refusal_of(candidate, wants))


def footing_at(
    architecture: Architecture, wants: Wants, precision: Precision, batch: int = 1
) -> Footing:
    """The model at one precision and batch."""
    need, split = needed(architecture, wants, precision, batch)
    predicted = predictions(architecture, wants, precision, batch, split)
    limit = memory_limit(wants, usable_bytes(wants.target))
    return Footing(
        precision=precision,
        batch=batch,
        memory=need,
        standing=against(need.total, limit),
        predicted=predicted,
        within=time_standing(wants, predicted),
        devices=split,
    )


def needed(
    architecture: Architecture, wants: Wants, precision: Precision, batch: int
) -> tuple[MemoryNeed, int]:
    """The memory of one device, and how many share the weights: as many as `fit` would take."""
    usable = usable_bytes(wants.target)
    for split in splits(architecture, wants.target):
        need = _need(architecture, wants, precision, batch, split)
        if need.total.lower <= usable:
            break
    return need, split


def _need(
    architecture: Architecture, wants: Wants, precision: Precision, batch: int, split: int
) -> MemoryNeed:
    return inference_need(
        architecture,
        target=wants.target,
        precision=precision,
        batch=batch,
        context=wants.context,
        devices=split,
    )


def predictions(
    architecture: Architecture, wants: Wants, precision: Precision, batch: int = 1, split: int = 1
) -> dict[str, Estimate]:
    """`latency_s` and the limit's own quantile, tokens a second, joules: those that there are.

    `split`: GPUs that a model too large for one is spread over.
    """
    if wants.usual.answer and architecture.generates:
        found = _generating(architecture, wants, precision, batch, split)
    else:
        found = _single(architecture, wants, precision, batch)
    if "latency_s" in found and wants.target.hardware.power is not None:
        load = float(wants.target.hardware.power.load)
        found["energy_j"] = _energy(found["latency_s"], load, batch)
    return found


def _single(
    architecture: Architecture, wants: Wants, precision: Precision, batch: int
) -> dict[str, Estimate]:
    facts = facts_of(architecture, Workload(batch=batch), wants.length)
    found: dict[str, Estimate] = {}
    middle = predict_latency(wants.target, facts, precision)
    if middle is not None:
        found["latency_s"] = middle
    if middle is not None and wants.time is not None:
        at = predict_latency(wants.target, facts, precision, wants.time.quantile)
        if at is not None:
            found[wants.time.metric] = at
    return found


def _generating(
    architecture: Architecture, wants: Wants, precision: Precision, batch: int, split: int
) -> dict[str, Estimate]:
    answer = wants.usual.answer
    prompt = wants.length or _AUDIO_PROMPT
    pace = predict_generation(
        wants.target,
        architecture,
        precision,
        prompt=prompt,
        context=prompt + answer,
        batch=batch,
        devices=split,
    )
    if not pace:
        return {}
    whole = _whole(pace, answer * batch)
    if wants.usual.kind == "speech":
        return {"latency_s": whole}
    return {**pace, "latency_s": whole}


def _whole(pace: Mapping[str, Estimate], answer: int) -> Estimate:
    """Seconds to the last token."""
    first, decode = pace["ttft_s"], pace["decode_tps"]
    return Estimate(
        value=first.value + answer / decode.value,
        lower=first.lower + answer / decode.upper,
        upper=first.upper + answer / decode.lower,
        coverage=first.coverage,
        basis=f"{answer} tokens written; {decode.basis}",
    )


def _energy(time: Estimate, load_w: float, batch: int) -> Estimate:
    """Joules a request: the draw under load for as long as it takes."""
    return Estimate(
        value=time.value * load_w / batch,
        lower=time.lower * load_w * (1 - ENERGY_BAND) / batch,
        upper=time.upper * load_w * (1 + ENERGY_BAND) / batch,
        coverage=time.coverage,
        basis=f"{load_w:g} W under load x predicted time; {time.basis}",
    )
