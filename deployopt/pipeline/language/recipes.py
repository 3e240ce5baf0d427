"""Which forms of a decoder are tried on a target, with every option of every step filled in.

The float form is what the others have to beat, as everywhere. With 4-bit weights a token reads the
fewest bytes; 8-bit ones with 8-bit products read a prompt fastest. Which is better is measured.
"""

from importlib.util import find_spec
from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.errors import UsageError
from deployopt.core.recipe import Recipe, Step
from deployopt.core.target import Target
from deployopt.pipeline.recipes import FLOAT, INT8, Arithmetic
from deployopt.sources.document_counts import (
    CALIBRATION_DOCUMENTS_MIN,
    GATE_DOCUMENTS,
    SEARCH_DOCUMENTS,
)
from deployopt.steps.calibrate import CalibrateDecoder
from deployopt.steps.decoder import ExportDecoder, QuantizeDecoder

INT8_WEIGHTS: Final = "int8 weights"
INT4: Final = "int4"
INT4_K: Final = "int4, k-quant"
INT4_CALIBRATED: Final = "int4, calibrated"
EIGHT: Final = 0.25
"""Of the layers' weights, in 8 bits where the others are calibrated to 4."""


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
    calibrated = _form(
        INT4_CALIBRATED,
        Precision.INT4,
        (
            CalibrateDecoder(eight=EIGHT),
            ExportDecoder(precision="int4", algorithm="rtn_last", symmetric=False),
        ),
        "4-bit weights rounded by what real text multiplies them with, 8 bits where 4 cost most",
    )
    return (*quick, fitted, calibrated)


def possible_forms(
    forms: tuple[Form, ...], *, documents: bool
) -> tuple[tuple[Form, ...], tuple[str, ...]]:
    """Without those that cannot be calibrated, and why; where it can be done, nothing is guessed.

    `documents` says whether there are any to calibrate by.
    """
    named = {form.recipe.name for form in forms}
    if INT4_CALIBRATED not in named:
        return forms, ()
    why = _why_not_calibrated(documents=documents)
    dropped = INT4_K if why is None else INT4_CALIBRATED
    said = () if why is None else (f"{INT4_CALIBRATED} was not tried: {why}",)
    return tuple(form for form in forms if form.recipe.name != dropped), said


def _why_not_calibrated(*, documents: bool) -> str | None:
    if not documents:
        return (
            f"calibrating takes {CALIBRATION_DOCUMENTS_MIN} documents or more beside the "
            f"{SEARCH_DOCUMENTS + GATE_DOCUMENTS} to choose and to judge by, and there are fewer."
        )
    if find_spec("olive") is None:
        return "it needs a further package. Install it with: pip install 'deployopt[calibrate]'."
    return None


def _form(name: str, precision: Precision, steps: tuple[Step, ...], reason: str) -> Form:
    return Form(recipe=Recipe(name=name, steps=steps, reason=reason), precision=precision)
