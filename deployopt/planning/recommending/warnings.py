"""What a person must not overlook: late, perhaps late, perhaps too large, few examples, licences.

In: the ranked candidates and the choice. Out: a sentence each, with its number.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from deployopt.core.recommendation import Choice
from deployopt.core.standing import Standing
from deployopt.core.units import Dimension, show_quantity
from deployopt.planning.recommending.candidate import Candidate
from deployopt.planning.recommending.ranking import too_few
from deployopt.planning.recommending.refusing import LATE
from deployopt.planning.recommending.wants import Wants
from deployopt.planning.recommending.words import duration

_LONG_S: Final = 60.0
"""Seconds a request, from which it is work for the night."""
_HOUR_S: Final = 3600.0


def warnings_for(
    order: Sequence[Candidate], choice: Choice, wants: Wants, *, late: bool
) -> Iterator[str]:
    """The gravest first; `late` says that nothing was in time and the fastest was taken."""
    first = order[0]
    if late:
        yield (
            f"No model is in time on {wants.target.name}: {first.entry.alias}, the fastest that "
            f"fits, takes {first.refusal.removeprefix(LATE)}."
        )
    elif wants.strict is not None and choice.within_latency is not Standing.INSIDE:
        yield _unsettled(order, choice, wants)
    elif choice.within_latency is None:
        yield from _slow(choice, wants)
    if choice.standing is Standing.UNSETTLED:
        yield f"Whether {choice.alias} fits {wants.target.name} is not settled: measure it there."
    if choice.training is not None and choice.training.standing is Standing.UNSETTLED:
        yield (
            f"Whether fine-tuning {choice.alias} fits {choice.training.where} is not settled: try "
            "a step there first."
        )
    if too_few(first, wants.examples):
        yield (
            f"{wants.examples} examples are few for every model that will do; {choice.alias} asks "
            f"for {first.entry.least_examples} or more."
        )
    if first.entry.commercial is not True:
        why = "restricts" if first.entry.commercial is False else "does not state"
        yield (
            f"The licence of {choice.alias} ({choice.licence}) {why} commercial use; --commercial "
            "leaves such models out."
        )


def _slow(choice: Choice, wants: Wants) -> Iterator[str]:
    """Where no time was asked for, what nobody would sit and wait for."""
    time = choice.predicted.get("latency_s")
    if time is None or time.value <= _LONG_S:
        return
    hours = msgspec.structs.replace(
        time, value=time.value / _HOUR_S, lower=time.lower / _HOUR_S, upper=time.upper / _HOUR_S
    )
    yield (
        f"One {wants.usual.unit} takes {duration(hours)} on {wants.target.name}: nobody waits for "
        "that. --realtime asks for what a person waits for; a faster --target may do better."
    )


def _unsettled(order: Sequence[Candidate], choice: Choice, wants: Wants) -> str:
    text = f"Whether {choice.alias} is in time on {wants.target.name} is not settled"
    limit = wants.time
    judged = None
    if limit is not None:
        judged = choice.predicted.get(limit.metric) or choice.predicted.get("latency_s")
    if limit is not None and judged is not None:
        middle = show_quantity(judged.value, Dimension.TIME, 2)
        text += f" ({middle} predicted, {show_quantity(limit.seconds, Dimension.TIME)} "
        text += f"{limit.words})"
        quicker = _quicker(order, limit.seconds)
        if judged.value > limit.seconds and quicker is not None:
            text += f"; {quicker} probably is"
    tokens = f" It was predicted at {wants.length} tokens; shorter texts take less (--length)."
    return f"{text}: measure it there before you rely on it." + (
        tokens if wants.length and not wants.usual.answer else ""
    )


def _quicker(order: Sequence[Candidate], limit_s: float) -> str | None:
    """The first in order whose middle is inside the limit, with its time."""
    found = next((c for c in order if c.time_s is not None and c.time_s <= limit_s), None)
    if found is None or found.time_s is None:
        return None
    return f"{found.entry.alias} ({show_quantity(found.time_s, Dimension.TIME, 2)})"
