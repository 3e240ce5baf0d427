"""The forms of a decoder that are tried."""

import pytest

from deployopt.core.artifact import Format, Precision
from deployopt.core.errors import UsageError
from deployopt.pipeline.language import recipes
from deployopt.pipeline.language.forms import (
    INT4,
    INT4_CALIBRATED,
    INT4_K,
    INT8_WEIGHTS,
    SMALL_CACHE,
    Form,
)
from deployopt.pipeline.language.recipes import forms_for, only_of, possible_forms
from deployopt.pipeline.recipes import FLOAT, FLOAT16, Arithmetic
from deployopt.planning.targets import load_target
from deployopt.steps.cache import QuantizeCache
from deployopt.steps.decoder import ExportDecoder, QuantizeDecoder

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


def test_a_card_gets_float16_first_and_every_form_is_for_cuda() -> None:
    forms = forms_for(load_target("rtx3060"), EXACT)
    assert [form.recipe.name for form in forms] == [FLOAT16, INT8_WEIGHTS, INT4]
    assert [form.precision for form in forms] == [Precision.FP16, Precision.INT8, Precision.INT4]
    wide = forms_for(load_target("t4"), EXACT, wide=True)
    assert names(wide) - names(forms) == {INT4_K, INT4_CALIBRATED}
    for form in wide:
        last = form.recipe.steps[-1]
        assert isinstance(last, ExportDecoder)
        assert last.provider == "cuda"
        # Products on a card are worked out in float16, and its tables stay in it.
        assert last.precision == "fp16" or (last.accuracy_level, last.embeddings) == (0, False)


def test_a_precision_that_is_asked_for_is_the_only_one() -> None:
    forms = forms_for(load_target("rtx3060"), EXACT)
    assert only_of(forms, None) == forms
    assert names(only_of(forms, Precision.INT4)) == {INT4}
    with pytest.raises(UsageError, match=r"is bf16\. There are fp16, int8, int4"):
        only_of(forms, Precision.BF16)


def names(forms: tuple[Form, ...]) -> set[str]:
    return {form.recipe.name for form in forms}


def test_an_8_bit_cache_comes_after_the_same_weights_and_needs_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recipes, "find_spec", lambda _name: object())
    wide = {form.recipe.name: form for form in forms_for(load_target("rpi5"), EXACT, wide=True)}
    small = {name for name, form in wide.items() if form.cache_bits == 8}
    assert small == {f"{one}{SMALL_CACHE}" for one in (INT8_WEIGHTS, INT4_K, INT4_CALIBRATED)}
    for name in small:
        same = wide[name.removesuffix(SMALL_CACHE)]
        assert wide[name].recipe.steps == (*same.recipe.steps, QuantizeCache())
        assert wide[name].precision is same.precision


def test_what_is_calibrated_takes_the_place_of_what_is_guessed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recipes, "find_spec", lambda _name: object())
    wide = forms_for(load_target("rpi5"), EXACT, wide=True)
    assert {INT4_K, INT4_CALIBRATED} <= names(wide)
    kept, said = possible_forms(wide, documents=True)
    assert names(kept) == names(wide) - {INT4_K, INT4_K + SMALL_CACHE}
    assert said == ()


def test_why_nothing_is_calibrated_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "find_spec", lambda _name: object())
    wide = forms_for(load_target("rpi5"), EXACT, wide=True)
    kept, said = possible_forms(wide, documents=False)
    assert names(kept) == {"float", "int8", INT8_WEIGHTS, "int4", INT4_K}
    assert said[0].startswith("An 8-bit cache was not tried")
    assert all("16 documents or more beside the 152" in one for one in said)
    monkeypatch.setattr(recipes, "find_spec", lambda _name: None)
    kept, said = possible_forms(wide, documents=True)
    assert names(kept) == names(wide) - {INT4_CALIBRATED, INT4_CALIBRATED + SMALL_CACHE}
    assert "deployopt[calibrate]" in said[0]
    quick = forms_for(load_target("rpi5"), EXACT)
    assert possible_forms(quick, documents=True) == (quick, ())
