"""Which forms of a decoder are tried on a target, with every option of every step filled in.

The float form is what the others have to beat, as everywhere. With 4-bit weights a token reads the
fewest bytes; 8-bit ones with 8-bit products read a prompt fastest. Which is better is measured.
"""

from importlib.util import find_spec
from typing import Final

from deployopt.core.artifact import Precision
from deployopt.core.errors import UsageError
from deployopt.core.recipe import Recipe
from deployopt.core.target import Target
from deployopt.pipeline.language.cards import card_forms, on_card
from deployopt.pipeline.language.forms import (
    EIGHT,
    INT4,
    INT4_CALIBRATED,
    INT4_K,
    INT8_WEIGHTS,
    SMALL_CACHE,
    Form,
    form_of,
)
from deployopt.pipeline.recipes import FLOAT, INT8, Arithmetic
from deployopt.sources.document_counts import (
    CALIBRATION_DOCUMENTS_MIN,
    GATE_DOCUMENTS,
    SEARCH_DOCUMENTS,
)
from deployopt.steps.cache import QuantizeCache
from deployopt.steps.calibrate import CalibrateDecoder
from deployopt.steps.decoder import ExportDecoder, QuantizeDecoder


def forms_for(target: Target, arithmetic: Arithmetic, *, wide: bool = False) -> tuple[Form, ...]:
    """Float first, then what may beat it; `wide`: those too whose making takes minutes.

    An 8-bit cache is tried with the weights that are likeliest to be taken: with 8-bit ones, and
    with the best of 4, on CPUs.
    """
    if on_card(target):
        return card_forms(wide=wide)
    export = ExportDecoder()
    eight = form_of(
        INT8_WEIGHTS,
        Precision.INT8,
        (ExportDecoder(precision="int8"),),
        "8-bit weights in blocks of 32, each with a scale of its own",
    )
    quick = (
        form_of(
            FLOAT, Precision.FP32, (export,), "the plain float decoder, which others must beat"
        ),
        form_of(
            INT8,
            Precision.INT8,
            (export, QuantizeDecoder(reduce_range=arithmetic.reduce_range)),
            f"weights and products in 8 bits; {arithmetic.reason}",
        ),
        eight,
        _with_small_cache(eight),
        form_of(
            INT4,
            Precision.INT4,
            (ExportDecoder(precision="int4", algorithm="rtn"),),
            "4-bit weights in blocks of 32, rounded to nearest",
        ),
    )
    if not wide:
        return quick
    fitted = form_of(
        INT4_K,
        Precision.INT4,
        (ExportDecoder(precision="int4", algorithm="k_quant_mixed"),),
        "4-bit weights whose scales are fitted, 8 bits where 4 cost most",
    )
    calibrated = form_of(
        INT4_CALIBRATED,
        Precision.INT4,
        (
            CalibrateDecoder(eight=EIGHT),
            ExportDecoder(precision="int4", algorithm="rtn_last", symmetric=False),
        ),
        "4-bit weights rounded by what real text multiplies them with, 8 bits where 4 cost most",
    )
    best = (fitted, calibrated)
    return (*quick, *(one for form in best for one in (form, _with_small_cache(form))))


def only_of(forms: tuple[Form, ...], precision: Precision | None) -> tuple[Form, ...]:
    """Those of one precision that was asked for.

    Raises:
        UsageError: there is none; names those there are.
    """
    if precision is None:
        return forms
    kept = tuple(form for form in forms if form.precision is precision)
    if not kept:
        known = ", ".join(dict.fromkeys(form.precision for form in forms))
        raise UsageError(
            f"No form of a language model for this target is {precision}. There are {known}; "
            "--effort default makes more of them."
        )
    return kept


def possible_forms(
    forms: tuple[Form, ...], *, documents: bool
) -> tuple[tuple[Form, ...], tuple[str, ...]]:
    """Without those that cannot be calibrated, and why; where it can be done, nothing is guessed.

    `documents` says whether there are any to calibrate by.
    """
    said = []
    if not documents and any(form.cache_bits is not None for form in forms):
        forms = tuple(form for form in forms if form.cache_bits is None)
        said.append(f"An 8-bit cache was not tried: {_FEW}")
    if INT4_CALIBRATED not in {form.recipe.name for form in forms}:
        return forms, tuple(said)
    why = _why_not_calibrated(documents=documents)
    if why is not None:
        said.append(f"{INT4_CALIBRATED} was not tried: {why}")
    dropped = INT4_K if why is None else INT4_CALIBRATED
    gone = {dropped, dropped + SMALL_CACHE}
    return tuple(form for form in forms if form.recipe.name not in gone), tuple(said)


_FEW: Final = (
    f"calibrating takes {CALIBRATION_DOCUMENTS_MIN} documents or more beside the "
    f"{SEARCH_DOCUMENTS + GATE_DOCUMENTS} to choose and to judge by, and there are fewer."
)


def _why_not_calibrated(*, documents: bool) -> str | None:
    if not documents:
        return _FEW
    if find_spec("olive") is None:
        return "it needs a further package. Install it with: pip install 'deployopt[calibrate]'."
    return None


def _with_small_cache(form: Form) -> Form:
    """The same weights; what was read before is kept in 8 bits."""
    recipe = form.recipe
    return Form(
        recipe=Recipe(
            name=recipe.name + SMALL_CACHE,
            steps=(*recipe.steps, QuantizeCache()),
            reason=f"{recipe.reason}; keys and values of what was read in 8 bits",
        ),
        precision=form.precision,
        cache_bits=8,
    )
