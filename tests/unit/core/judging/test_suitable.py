"""A budget that says nothing of a model is an error where a person asked for it."""

import pytest

from deployopt.core.budget import Budget
from deployopt.core.errors import UsageError
from deployopt.core.interface import Interface, PromptInputs, Task, TextInputs
from deployopt.core.judging.suitable import budgets_that_fit, require_budgets_for
from deployopt.core.metric import METRICS

TALKS = Interface(
    task=Task.TEXT_GENERATION, inputs=PromptInputs(context=2048, chat=True), outputs=("logits",)
)
TELLS = Interface(
    task=Task.TEXT_CLASSIFICATION, inputs=TextInputs(max_length=128), outputs=("logits",)
)
OF_TEXTS = {"ttft_p50", "ttft_p95", "decode_tps_min", "nll_increase", "agreement"}
OF_ANY = {"memory_peak", "artifact_size", "energy"}
ALL = tuple(Budget(metric=name, limit=0.5) for name in METRICS)


def test_every_metric_is_of_one_or_of_both() -> None:
    assert {b.metric for b in budgets_that_fit(TALKS, ALL)} == OF_TEXTS | OF_ANY
    assert {b.metric for b in budgets_that_fit(TELLS, ALL)} == set(METRICS) - OF_TEXTS


@pytest.mark.parametrize("metric", sorted(set(METRICS) - OF_TEXTS - OF_ANY - {"accuracy_drop"}))
def test_a_language_model_has_no_such_budget(metric: str) -> None:
    with pytest.raises(UsageError, match=f"{metric} cannot be judged of a language model.*ttft"):
        require_budgets_for(TALKS, (Budget(metric=metric, limit=0.5),))


@pytest.mark.parametrize("metric", sorted(OF_TEXTS))
def test_a_classifier_has_no_such_budget(metric: str) -> None:
    with pytest.raises(UsageError, match=f"{metric} cannot be judged of a model.*accuracy_drop"):
        require_budgets_for(TELLS, (Budget(metric=metric, limit=0.5),))


def test_what_fits_passes() -> None:
    require_budgets_for(TALKS, budgets_that_fit(TALKS, ALL))
    require_budgets_for(TELLS, budgets_that_fit(TELLS, ALL))
    require_budgets_for(TALKS, ())


def test_a_language_model_has_an_accuracy_where_it_is_asked_questions() -> None:
    budgets = (Budget(metric="accuracy_drop", limit=0.01), Budget(metric="latency_p95", limit=0.5))
    assert budgets_that_fit(TALKS, budgets, questions=True) == budgets[:1]
    require_budgets_for(TALKS, budgets[:1], questions=True)
    with pytest.raises(UsageError, match=r"without questions with choices.*--questions"):
        require_budgets_for(TALKS, budgets[:1])
    with pytest.raises(UsageError, match=r"latency_p95 cannot be judged.*accuracy_drop"):
        require_budgets_for(TALKS, budgets, questions=True)
    assert budgets_that_fit(TELLS, ALL, questions=True) == budgets_that_fit(TELLS, ALL)
