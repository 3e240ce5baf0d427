"""The forms of a decoder that are tried."""

import pytest

from deployopt.core.artifact import Format, Precision
from deployopt.core.errors import UsageError
from deployopt.pipeline.language.recipes import forms_for
from deployopt.pipeline.recipes import FLOAT, Arithmetic
from deployopt.planning.targets import load_target
from deployopt.steps.decoder import QuantizeDecoder

EXACT = Arithmetic(reduce_range=False, reason="8-bit weights, exact")
NARROW = Arithmetic(reduce_range=True, reason="7-bit weights")


def test_float_comes_first_and_every_form_ends_as_a_decoder() -> None:
    forms = forms_for(load_target("rpi5"), EXACT)
    assert forms[0].recipe.name == FLOAT
    assert forms[0].precision is Precision.FP32
    assert len({form.recipe.name for form in forms}) == len(forms)
    assert {form.recipe.steps[-1].produces for form in forms} == {Format.GENAI}
    assert {form.recipe.steps[0].consumes for form in forms} == {Format.TRANSFORMERS}


@pytest.mark.parametrize("arithmetic", [EXACT, NARROW])
def test_products_in_8_bits_keep_to_what_the_target_adds_up_exactly(arithmetic: Arithmetic) -> None:
    forms = {form.recipe.name: form.recipe for form in forms_for(load_target("rpi5"), arithmetic)}
    (step,) = [s for s in forms["int8"].steps if isinstance(s, QuantizeDecoder)]
    assert step.reduce_range is arithmetic.reduce_range
    assert arithmetic.reason in forms["int8"].reason


def test_a_gpu_is_refused_with_what_answers_for_it() -> None:
    with pytest.raises(UsageError, match="deployopt fit"):
        forms_for(load_target("rtx3060"), EXACT)
