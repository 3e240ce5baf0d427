"""Which budgets make sense of a model: a language model's are not a classifier's.

In: a model's interface and budgets. Out: those that can be judged of it, or an error about the
others (UsageError). A latency of whole answers says how long the answers were; an accuracy needs
right and wrong, which a language model has where it is given questions with choices.
"""

from collections.abc import Sequence
from typing import Final

from deployopt.core.budget import Budget
from deployopt.core.errors import UsageError
from deployopt.core.interface import Interface
from deployopt.core.metric import METRICS, Kind

OF_LANGUAGE: Final = frozenset({Kind.FIRST_TOKEN, Kind.DECODE, Kind.SCORE, Kind.AGREEMENT})
OF_OTHERS: Final = frozenset({Kind.LATENCY, Kind.THROUGHPUT, Kind.ACCURACY})


def budgets_that_fit(
    interface: Interface, budgets: Sequence[Budget], *, questions: bool = False
) -> tuple[Budget, ...]:
    """Those that can be judged of such a model: for what a target asks of every model.

    `questions` says whether a language model is asked questions with choices.
    """
    foreign = _foreign(interface, questions=questions)
    return tuple(b for b in budgets if b.definition.kind not in foreign)


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
    if interface.generates and {budget.definition.kind for budget in unfit} == {Kind.ACCURACY}:
        raise UsageError(
            f"{' and '.join(wrong)} cannot be judged of a language model without questions with "
            "choices. Give `build` a file of them with --questions, one JSON object a line: "
            '{"question": "…", "choices": ["…", "…"], "answer": 0}.'
        )
    foreign = _foreign(interface, questions=questions)
    known = [metric.name for metric in METRICS.values() if metric.kind not in foreign]
    what = "a language model" if interface.generates else "a model that generates no text"
    raise UsageError(
        f"{' and '.join(wrong)} cannot be judged of {what}. Give budgets on: {', '.join(known)}."
    )
