"""A form of a decoder: its name, its recipe, and the precision that it is expected to have."""

from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.recipe import Recipe, Step

INT8_WEIGHTS: Final = "int8 weights"
INT4: Final = "int4"
INT4_K: Final = "int4, k-quant"
INT4_CALIBRATED: Final = "int4, calibrated"
SMALL_CACHE: Final = ", 8-bit cache"
"""Of a form of the same weights that keeps keys and values in 8 bits."""
EIGHT: Final = 0.25
"""Of the layers' weights, in 8 bits where the others are calibrated to 4."""


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe with the precision that it is expected to give."""

    recipe: Recipe
    precision: Precision
    cache_bits: int | None = None
    """A value of the KV cache; None: as the runtime does by itself."""


def form_of(name: str, precision: Precision, steps: tuple[Step, ...], reason: str) -> Form:
    """With the cache that the runtime keeps by itself."""
    return Form(recipe=Recipe(name=name, steps=steps, reason=reason), precision=precision)
