"""The forms that are made of a plain float graph for a card, whatever opens them there.

In: what the card and its runtime work in, and the last step of every form. Out: names, steps,
reasons. The types of a form's graph decide what is worked out in what.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from deployopt.core.artifact import Artifact, Precision
from deployopt.core.recipe import Step
from deployopt.steps.float8 import QuantizeFloat8
from deployopt.steps.half import ConvertHalf
from deployopt.steps.symmetric import QuantizeSymmetric

HALF: Final = "fp16"
FLOAT8: Final = "fp8"
CardForm = tuple[str, tuple[Step, ...], str]
"""Name, steps behind the plain float graph, and reason."""


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """Of a card and what opens the graph there: whether it has products of these pairs."""

    int8: bool
    float8: bool


def card_forms(
    source: Artifact,
    last: Step,
    told: Callable[[str], str],
    abilities: Abilities,
    *,
    convolutional: bool,
) -> tuple[CardForm, ...]:
    """Float first, which the others have to beat; `told` says of a form what it is for.

    A graph that is quantized already is taken as it is.
    """
    whole = ("float", (last,), f"{told('in fp32')}, TF32 off; others have to beat it")
    if source.precision in {Precision.INT8, Precision.MIXED}:
        return (whole,)
    half = ConvertHalf()
    forms: list[CardForm] = [
        whole,
        (HALF, (half, last), f"{told('in fp16')}, ranges checked on real inputs"),
    ]
    if abilities.float8:
        why = f"{told('with static float8 products (E4M3)')}, the rest in fp16"
        forms.append((FLOAT8, (QuantizeFloat8(), half, last), why))
    if abilities.int8:
        # A transformer's values have outliers that carry meaning; a convolution net's are cut off.
        pairs = QuantizeSymmetric(calibration="percentile" if convolutional else "minmax")
        why = f"{told('with static int8 products (signed, symmetric)')}, the rest in fp16"
        forms.append(("int8", (pairs, half, last), why))
    return tuple(forms)
