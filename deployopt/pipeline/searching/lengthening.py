"""Longer floats for a card, where float16 does not do: bfloat16, then TF32.

In: forms that were asked the search split. Out: others, asked as well, where float16 failed, kept
much of the model in float32, or lost more than the budget could bear; else none. They have
float32's range and fewer digits, and are no faster than float16 where that holds.
"""

from collections.abc import Sequence

from deployopt.core.artifact import Precision
from deployopt.core.budget import limit_of
from deployopt.core.metric import Kind
from deployopt.core.watching import Watcher
from deployopt.pipeline.card_forms import HALF, longer_recipes
from deployopt.pipeline.preparing import Prepared
from deployopt.pipeline.searching.controlling import too_much
from deployopt.pipeline.trying import Tried, ask_recipes


def lengthened(prepared: Prepared, plain: Sequence[Tried], watcher: Watcher) -> tuple[Tried, ...]:
    """The longer forms that the card and its runtime have."""
    half = next((one for one in plain if one.candidate.recipe.name == HALF), None)
    base = next((one for one in plain if one.candidate.is_float), None)
    if half is None or base is None or _does(prepared, half):
        return ()
    return ask_recipes(
        prepared, longer_recipes(base.candidate.recipe, prepared.request.target), watcher
    )


def _does(prepared: Prepared, half: Tried) -> bool:
    """Whether it is float16 throughout, nearly, and may be certified."""
    limit = limit_of(prepared.budgets, Kind.ACCURACY)
    if half.candidate.fault is not None or half.candidate.precision is not Precision.FP16:
        return False
    return limit is None or not too_much(prepared, half, limit)
