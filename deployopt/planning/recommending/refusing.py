"""Why a model will not do: licence, length, memory, size, time, no head for the task.

In: an entry or a candidate and what is wanted. Out: one sentence with its number, or nothing.
"""

from deployopt.catalogue.models import Entry
from deployopt.core.architecture import Architecture
from deployopt.core.metric import Kind
from deployopt.core.standing import Standing
from deployopt.core.units import Dimension, show_quantity
from deployopt.planning.recommending.candidate import Candidate, Footing
from deployopt.planning.recommending.heads import answers
from deployopt.planning.recommending.limits import memory_limit, of_kind
from deployopt.planning.recommending.wants import Wants
from deployopt.planning.recommending.words import band, tokens_a_second
from deployopt.planning.usable import usable_bytes

LATE = "late: "
"""Begins a refusal for time alone, which gives way where nothing is in time."""


def refusal_before(entry: Entry, wants: Wants) -> str:
    """What needs no shape: the licence, whether it answers at all."""
    if wants.commercial and entry.commercial is not True:
        why = "forbids or restricts commercial use" if entry.commercial is False else "is not clear"
        return f"its licence ({entry.licence}) {why}"
    if wants.examples is None and not answers(entry, wants.task):
        return (
            f"it is pre-trained only and answers {wants.task} after fine-tuning; give --examples "
            f"({entry.least_examples} or more)"
        )
    if not entry.config and not entry.operations:
        return "the catalogue does not know its shape"
    return ""


def refusal_by_length(entry: Entry, architecture: Architecture, wants: Wants) -> str:
    """More tokens than it has positions for, the answer counted in where it is appended."""
    most = min((n for n in (entry.context, architecture.positions) if n is not None), default=None)
    if wants.length is None or most is None:
        return ""
    appended = len(architecture.stacks) == 1 and architecture.generates
    asked = wants.length + (wants.usual.answer if appended else 0)
    if asked <= most:
        return ""
    return f"it reads at most {most} tokens, and {asked} are asked for"


def refusal_of(candidate: Candidate, wants: Wants) -> str:
    """What the arithmetic says against it."""
    if candidate.at is None:
        return _memory(candidate.footings[-1], wants)
    return _size(candidate, wants) or _energy(candidate.at, wants) or _time(candidate.at, wants)


def _memory(smallest: Footing, wants: Wants) -> str:
    limit = memory_limit(wants, usable_bytes(wants.target))
    need = band(smallest.memory.total, Dimension.SIZE)
    shared = f" on each of {smallest.devices} GPUs" if smallest.devices > 1 else ""
    return (
        f"even {smallest.precision} is predicted to need {need}{shared}, and "
        f"{show_quantity(limit, Dimension.SIZE)} are allowed on {wants.target.name}"
    )


def _size(candidate: Candidate, wants: Wants) -> str:
    budget = of_kind(wants.budgets, Kind.SIZE)
    if budget is None or candidate.at is None:
        return ""
    weights = _weights(candidate.at)
    if weights is None or weights <= budget.limit:
        return ""
    return (
        f"its weights take {show_quantity(weights, Dimension.SIZE)} in {candidate.at.precision}, "
        f"over the {budget.shown} of artifact_size"
    )


def _weights(footing: Footing) -> float | None:
    return next((p.bytes for p in footing.memory.parts if p.name == "weights"), None)


def _energy(at: Footing, wants: Wants) -> str:
    budget, joules = of_kind(wants.budgets, Kind.ENERGY), at.predicted.get("energy_j")
    if budget is None or joules is None or joules.lower <= budget.limit:
        return ""
    low = show_quantity(joules.lower, Dimension.ENERGY, 2)
    return f"{low} {wants.usual.a_unit} at least, over the {budget.shown} of energy"


def _time(at: Footing, wants: Wants) -> str:
    if at.within is not Standing.OUTSIDE or not wants.strict:
        return ""
    if wants.time is not None:
        found = at.predicted.get(wants.time.metric, at.predicted["latency_s"])
        low = show_quantity(found.lower, Dimension.TIME, 2)
        limit = show_quantity(wants.time.seconds, Dimension.TIME)
        return f"{LATE}{low} {wants.usual.a_unit} at least, over the {limit} {wants.time.words}"
    pace = at.predicted["decode_tps"]
    return (
        f"{LATE}{tokens_a_second(pace.upper)} at most, below the {wants.pace_tps:g} tokens/s that "
        "a person reads"
    )
