"""Four-bit weights, where no other form is within the size or memory that the target has.

On CPUs they are slower than eight bits, so they are tried for what they save alone.
"""

from collections.abc import Sequence
from typing import Final

from deployopt.core.artifact import Format
from deployopt.core.metric import Kind
from deployopt.core.recipe import Recipe
from deployopt.core.watching import Watcher
from deployopt.pipeline.preparing import Prepared
from deployopt.pipeline.trying import Tried, ask_recipes
from deployopt.steps.quantize_weights import QuantizeWeights

INT4: Final = "int4 weights"


def shrink(prepared: Prepared, plain: Sequence[Tried], watcher: Watcher) -> tuple[Tried, ...]:
    """The form with 4-bit weights, asked the search split, where it is needed; else nothing."""
    base = next((one for one in plain if one.candidate.is_float), None)
    if base is None or not all(_too_large(prepared, one) for one in plain):
        return ()
    recipe = Recipe(
        name=INT4,
        steps=(*base.candidate.recipe.steps, QuantizeWeights()),
        reason="4-bit weights, as no other form is small enough",
    )
    return ask_recipes(prepared, [recipe], watcher)


def _too_large(prepared: Prepared, one: Tried) -> bool:
    candidate = one.candidate
    if candidate.made is None or candidate.made.artifact.format is not Format.ONNX:
        return True
    limits = {b.definition.kind: b.limit for b in prepared.budgets}
    size, memory = limits.get(Kind.SIZE), limits.get(Kind.MEMORY)
    foreseen = candidate.predictions.get("memory_peak")
    over_size = size is not None and (candidate.size_bytes or 0) > size
    over_memory = memory is not None and foreseen is not None and foreseen.lower > memory
    return over_size or over_memory
