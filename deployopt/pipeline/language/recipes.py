"""Which forms of a decoder are tried on a target, with every option of every step filled in.

The float form is what the others have to beat, as everywhere. With 4-bit weights a token reads the
fewest bytes; 8-bit ones with 8-bit products read a prompt fastest. Which is better is measured.
"""

from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.errors import UsageError
from deployopt.core.recipe import Recipe, Step
from deployopt.core.target import Target
from deployopt.pipeline.recipes import FLOAT, INT8, Arithmetic
from deployopt.steps.decoder import ExportDecoder, QuantizeDecoder

INT8_WEIGHTS: Final = "int8 weights"
INT4: Final = "int4"
INT4_K: Final = "int4, k-quant"


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe with the precision that it is expected to give."""

    recipe: Recipe
    precision: Precision


def forms_for(target: Target, arithmetic: Arithmetic, *, wide: bool = False) -> tuple[Form, ...]:
    """Float first, then what may beat it; `wide`: those too whose making takes minutes.

    Raises:
        UsageError: the target's runtime is not one that can be built for yet.
    """
    if target.runtime.provider != "cpu":
        raise UsageError(
            f"Target {target.name} runs on {target.runtime.provider}, and this version builds "
            "language models for CPU runtimes only. `deployopt fit` says what fits there; name a "
            "target whose runtime is cpu to build (`deployopt targets` lists them)."
        )
    export = ExportDecoder()
    quick = (
        _form(FLOAT, Precision.FP32, (export,), "the plain float decoder, which others must beat"),
        _form(
            INT8,
            Precision.INT8,
            (export, QuantizeDecoder(reduce_range=arithmetic.reduce_range)),
            f"weights and products in 8 bits; {arithmetic.reason}",
        ),
        _form(
            INT8_WEIGHTS,
            Precision.INT8,
            (ExportDecoder(precision="int8"),),
            "8-bit weights in blocks of 32, each with a scale of its own",
        ),
        _form(
            INT4,
            Precision.INT4,
            (ExportDecoder(precision="int4", algorithm="rtn"),),
            "4-bit weights in blocks of 32, rounded to nearest",
        ),
    )
    if not wide:
        return quick
    fitted = _form(
        INT4_K,
        Precision.INT4,
        (ExportDecoder(precision="int4", algorithm="k_quant_mixed"),),
        "4-bit weights whose scales are fitted, 8 bits where 4 cost most",
    )
    return (*quick, fitted)


def _form(name: str, precision: Precision, steps: tuple[Step, ...], reason: str) -> Form:
    return Form(recipe=Recipe(name=name, steps=steps, reason=reason), precision=precision)
