"""A language model's plan: memory, speed, and what is not worth trying."""

import pytest

from deployopt.core.artifact import Precision
from deployopt.core.budget import parse_budget
from deployopt.core.errors import CannotFitError, UsageError
from deployopt.core.evidence import Evidence
from deployopt.core.interface import PromptInputs
from deployopt.core.recipe import Recipe
from deployopt.core.workload import Workload
from deployopt.pipeline.language.forecasting import (
    language_plan,
    language_predictions,
    worth_trying,
)
from deployopt.pipeline.language.forms import Form
from deployopt.pipeline.language.requests import CONTEXT, PROMPT_TOKENS, Requests, requests_for
from deployopt.planning.targets import load_target
from tests.fakes.transformers_shapes import llama

REQUESTS = Requests(prompt=64, answer=32, context=2048)
FORMS = tuple(
    Form(recipe=Recipe(name=name, steps=()), precision=precision, cache_bits=cache_bits)
    for name, precision, cache_bits in (
        ("float", Precision.FP32, None),
        ("int8", Precision.INT8, None),
        ("int8, 8-bit cache", Precision.INT8, 8),
        ("int4", Precision.INT4, None),
    )
)
SMALLER = ["int8, 8-bit cache", "int4"]
LONG = PromptInputs(context=8192, chat=True)


def test_a_model_that_no_precision_fits_is_refused_with_what_would() -> None:
    with pytest.raises(CannotFitError) as caught:
        language_plan(load_target("rpi4-2gb"), "llama", llama(70), FORMS, (), REQUESTS)
    said = str(caught.value)
    assert "even as int4" in said
    assert "2,048 tokens" in said
    assert "What would fit" in said


def test_forms_that_surely_do_not_fit_are_not_tried_though_a_smaller_one_is() -> None:
    target = load_target("rpi4-8gb")
    plan = language_plan(target, "llama", llama(7), FORMS, (), REQUESTS)
    kept, said = worth_trying(FORMS, plan, Evidence.TARGET)
    assert [form.recipe.name for form in kept] == SMALLER
    assert all("does not fit" in sentence for sentence in said)
    assert plan.fits


def test_a_slow_forecast_is_hopeless_elsewhere_and_measured_on_the_target() -> None:
    target = load_target("rpi4-8gb")
    budgets = (parse_budget("decode_tps_min", "50 tok/s"),)
    plan = language_plan(target, "llama", llama(7), FORMS, budgets, REQUESTS)
    int4 = next(one for one in plan.forecasts if one.recipe == "int4")
    assert int4.hopeless is not None
    assert "decode tps min" in int4.hopeless
    assert [f.recipe.name for f in worth_trying(FORMS, plan, Evidence.TARGET)[0]] == SMALLER
    assert worth_trying(FORMS, plan, Evidence.PROXY)[0] == FORMS, "all hopeless: all are tried"


def test_predictions_are_of_the_budgets_that_have_one() -> None:
    budgets = tuple(
        parse_budget(name, text)
        for name, text in (
            ("ttft_p95", "2 s"),
            ("decode_tps_min", "1 tok/s"),
            ("memory_peak", "8 GiB"),
            ("artifact_size", "8 GiB"),
            ("nll_increase", "2 %"),
        )
    )
    target = load_target("rpi4-8gb")
    found = language_predictions(target, llama(7), FORMS[-1], budgets, REQUESTS)
    assert set(found) == {"ttft_p50", "ttft_p95", "decode_tps_min", "memory_peak", "artifact_size"}
    assert 3e9 < found["artifact_size"].value < 6e9
    float_size = language_predictions(target, llama(7), FORMS[0], budgets, REQUESTS)
    assert float_size["artifact_size"].value > 6 * found["artifact_size"].value
    assert found["decode_tps_min"].value > 4 * float_size["decode_tps_min"].value


def test_a_context_is_the_usual_one_or_what_the_model_takes() -> None:
    usual = requests_for(Workload(), "m", LONG)
    assert (usual.context, usual.prompt, usual.answer) == (CONTEXT, PROMPT_TOKENS, 32)
    assert requests_for(Workload(), "m", PromptInputs(context=512, chat=False)).context == 512
    fixed = requests_for(Workload(length=1000, answer=100, context=4096), "m", LONG)
    assert (fixed.context, fixed.prompt, fixed.answer) == (4096, 1000, 100)


@pytest.mark.parametrize(
    ("workload", "words"),
    [
        (Workload(context=9000), "takes 8,192"),
        (Workload(length=2040, answer=32), "do not fit a context of 2,048"),
    ],
)
def test_what_a_context_has_no_room_for_is_refused(workload: Workload, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        requests_for(workload, "m", LONG)
