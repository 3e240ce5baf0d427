"""Which budgets make sense of a model: a language model's are not a classifier's.

In: a model's interface and budgets. Out: those that can be judged of it, or an error about the
others (UsageError). A latency of whole answers says how long the answers were; an accuracy needs
right and wrong, which a language model has where it is given questions with choices.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from deployopt.core.budget import Budget
from deployopt.core.errors import UsageError
from deployopt.core.interface import Interface
from deployopt.core.metric import METRICS, Kind

OF_LANGUAGE: Final = frozenset({Kind.FIRST_TOKEN, Kind.DECODE, Kind.SCORE, Kind.AGREEMENT})
_OF_LABELS: Final = "accuracy_drop"
_OF_BOXES: Final = "map_drop"
OF_OTHERS: Final = frozenset({Kind.LATENCY, Kind.THROUGHPUT, Kind.ACCURACY})


def budgets_that_fit(
    interface: Interface, budgets: Sequence[Budget], *, questions: bool = False
) -> tuple[Budget, ...]:
    """Those that can be judged of such a model: for what a target asks of every model.

    `questions` says whether a language model is asked questions with choices.
    """
    foreign = _foreign(interface, questions=questions)
    other = _OF_LABELS if interface.detects else _OF_BOXES
    return tuple(b for b in budgets if b.definition.kind not in foreign and b.metric != other)


def budgets_in_its_terms(interface: Interface, budgets: Sequence[Budget]) -> tuple[Budget, ...]:
    """A target's points of accuracy are a detector's points of mAP, unless it has those."""
    if not interface.detects:
        return tuple(budgets)
    own = any(budget.metric == _OF_BOXES for budget in budgets)
    kept = [b for b in budgets if not (own and b.metric == _OF_LABELS)]
    named = (
        msgspec.structs.replace(b, metric=_OF_BOXES) if b.metric == _OF_LABELS else b for b in kept
    )
    return tuple(sorted(named, key=lambda budget: budget.metric))


def _foreign(interface: Interface, *, questions: bool) -> frozenset[Kind]:
    if not interface.generates:
        return OF_LANGUAGE
    return OF_OTHERS - {Kind.ACCURACY} if questions else OF_OTHERS


def require_budgets_for(
    interface: Interface, budgets: Sequence[Budget], *, questions: bool = False
) -> None:
    """Accept budgets that a person asked for; `questions` as above.

    Raises:
        UsageError: one cannot be judged of such a model; names those that can.
    """
    fitting = budgets_that_fit(interface, budgets, questions=questions)
    unfit = [budget for budget in budgets if budget not in fitting]
    wrong = [budget.metric for budget in unfit]
    if not wrong:
        return
    if interface.generates and wrong == [_OF_LABELS]:
        raise UsageError(
            f"{' and '.join(wrong)} cannot be judged of a language model without questions with "
            "choices. Give `build` a file of them with --questions, one JSON object a line: "
            '{"question": "…", "choices": ["…", "…"], "answer": 0}.'
        )
    foreign = _foreign(interface, questions=questions)
    other = _OF_LABELS if interface.detects else _OF_BOXES
    known = [m.name for m in METRICS.values() if m.kind not in foreign and m.name != other]
    what = "a language model" if interface.generates else "a model that generates no text"
    if interface.detects:
        what = "a detector"
    elif wrong == [_OF_BOXES] and not interface.generates:
        what = "a model that finds no boxes"
    raise UsageError(
        f"{' and '.join(wrong)} cannot be judged of {what}. Give budgets on: {', '.join(known)}."
    )
