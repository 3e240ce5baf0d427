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
_OF_PAIRS: Final = "recall_drop"
_ACCURACIES: Final = frozenset({_OF_LABELS, _OF_BOXES, _OF_PAIRS})
OF_OTHERS: Final = frozenset({Kind.LATENCY, Kind.THROUGHPUT, Kind.ACCURACY})


def budgets_that_fit(
    interface: Interface, budgets: Sequence[Budget], *, questions: bool = False
) -> tuple[Budget, ...]:
    """Those that can be judged of such a model: for what a target asks of every model.

    `questions` says whether a language model is asked questions with choices.
    """
    foreign = _foreign(interface, questions=questions)
    others = _ACCURACIES - {_own(interface)}
    return tuple(b for b in budgets if b.definition.kind not in foreign and b.metric not in others)


def budgets_in_its_terms(interface: Interface, budgets: Sequence[Budget]) -> tuple[Budget, ...]:
    """A target's points of accuracy are points of mAP, or of recall, unless it has those."""
    own = _own(interface)
    return tuple(budgets) if own == _OF_LABELS else _in_terms_of(own, budgets)


def budgets_of_pairs(budgets: Sequence[Budget]) -> tuple[Budget, ...]:
    """The same of an image-text model that is not at hand."""
    return _in_terms_of(_OF_PAIRS, budgets)


def _in_terms_of(own: str, budgets: Sequence[Budget]) -> tuple[Budget, ...]:
    told = any(budget.metric == own for budget in budgets)
    kept = [b for b in budgets if not (told and b.metric == _OF_LABELS)]
    named = (msgspec.structs.replace(b, metric=own) if b.metric == _OF_LABELS else b for b in kept)
    return tuple(sorted(named, key=lambda budget: budget.metric))


def _own(interface: Interface) -> str:
    """What its accuracy is called."""
    if interface.detects:
        return _OF_BOXES
    return _OF_PAIRS if interface.pairs else _OF_LABELS


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
    others = _ACCURACIES - {_own(interface)}
    known = [m.name for m in METRICS.values() if m.kind not in foreign and m.name not in others]
    raise UsageError(
        f"{' and '.join(wrong)} cannot be judged of {_what(interface, wrong)}. Give budgets on: "
        f"{', '.join(known)}."
    )


def _what(interface: Interface, wrong: Sequence[str]) -> str:
    if interface.detects:
        return "a detector"
    if interface.pairs:
        return "an image-text model"
    if interface.generates:
        return "a language model"
    lacking = {
        _OF_BOXES: "a model that finds no boxes",
        _OF_PAIRS: "a model of images or texts alone",
    }
    return lacking.get(wrong[0], "a model that generates no text")
