"""Can this much evaluation data certify the accuracy budget, and how much could?

In: the examples of the gate split, the budget as a share of one, what is going to be built. Out: a
yes or no, the number needed, and a sentence for people. Said before any work (see
core/sample_size.py for the arithmetic).
"""

import math
from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.sample_size import certifiable, examples_needed

EXPECTED_DISCORDANCE: Final = {
    Precision.FP32: 0.01,
    Precision.TF32: 0.01,
    Precision.FP16: 0.01,
    Precision.BF16: 0.02,
    Precision.FP8: 0.04,
    Precision.INT8: 0.04,
    Precision.MIXED: 0.04,
    # Four bits are assumed to differ twice as often.
    Precision.INT4: 0.08,
    Precision.NF4: 0.08,
}
"""The share of examples that reference and candidate answer unlike, as met with real models."""
POWER: Final = 0.9


class EvaluationSize(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`enough`: a candidate as good as the reference can be accepted on `examples`.

    `needed` is for being accepted nine times in ten; `certifiable` is the least budget, a share of
    one, that `examples` certify when the observed loss is zero.
    """

    examples: int
    needed: int | None
    certifiable: float
    enough: bool
    sentence: str


def judge_evaluation_size(
    examples: int, budget: float, discordance: float = EXPECTED_DISCORDANCE[Precision.INT8]
) -> EvaluationSize:
    """Hold the examples at hand against the accuracy budget (shares of one).

    Raises:
        ValueError: a budget or discordance that is no share of one.
    """
    if not (0.0 <= budget <= 1.0 and 0.0 <= discordance <= 1.0):
        raise ValueError(f"budget {budget} and discordance {discordance} must be shares of one")
    needed = _needed(budget, discordance)
    least = certifiable(examples, discordance) if examples > 0 else 1.0
    enough = least <= budget
    return EvaluationSize(
        examples=examples,
        needed=needed,
        certifiable=least,
        enough=enough,
        sentence=_sentence(examples, budget, discordance, least, needed),
    )


def _needed(budget: float, discordance: float) -> int | None:
    """A budget of 0 can never be certified; one of 1 always is."""
    if budget <= 0.0:
        return None
    if budget >= 1.0:
        return 1
    return examples_needed(budget, discordance, power=POWER)


def _sentence(
    examples: int, budget: float, discordance: float, least: float, needed: int | None
) -> str:
    points, expected = f"{budget * 100:.3g} pt", f"{discordance * 100:.2g} %"
    if needed is None:
        return "No number of examples can prove a loss of 0 pt: give the accuracy budget some room."
    if examples < 1:
        return f"There are no examples to judge accuracy with: {points} needs {_rounded(needed)}."
    short = f"{examples:,} examples can prove a loss of {least * 100:.2g} pt at best"
    if least > budget:
        return (
            f"{short}, when {expected} of the answers differ; the budget of {points} needs about "
            f"{_rounded(needed)}. Give more examples with --data, or allow a larger accuracy_drop."
        )
    if examples < needed:
        return (
            f"{short}, when {expected} of the answers differ, and the budget is {points}: a good "
            f"candidate may still end undecided. About {_rounded(needed)} make that rare."
        )
    return f"{examples:,} examples are enough to prove a loss of at most {points}."


def _rounded(needed: int) -> str:
    """Upwards to two digits: the discordance behind it is a guess."""
    step = 10 ** max(0, len(str(needed)) - 2)
    return f"{math.ceil(needed / step) * step:,}"
