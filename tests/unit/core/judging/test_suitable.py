"""A budget that says nothing of a model is an error where a person asked for it."""

import pytest

from deployopt.core.budget import Budget
from deployopt.core.errors import UsageError
from deployopt.core.interface import (
    ImageInputs,
    Interface,
    PairInputs,
    PromptInputs,
    Task,
    TextInputs,
)
from deployopt.core.judging.suitable import (
    budgets_in_its_terms,
    budgets_that_fit,
    require_budgets_for,
)
from deployopt.core.metric import METRICS

TALKS = Interface(
    task=Task.TEXT_GENERATION, inputs=PromptInputs(context=2048, chat=True), outputs=("logits",)
)
TELLS = Interface(
    task=Task.TEXT_CLASSIFICATION, inputs=TextInputs(max_length=128), outputs=("logits",)
)
FINDS = Interface(
    task=Task.OBJECT_DETECTION,
    inputs=ImageInputs(input_name="pixel_values", height=64, width=64),
    outputs=("logits", "pred_boxes"),
    labels=("cat",),
)
MATCHES = Interface(
    task=Task.IMAGE_TEXT,
    inputs=PairInputs(
        image=ImageInputs(input_name="pixel_values", height=64, width=64),
        text=TextInputs(max_length=77),
    ),
    outputs=("image_embeds", "text_embeds", "logits_per_image"),
)
ACCURACIES = {"accuracy_drop", "map_drop", "recall_drop"}
OF_TEXTS = {"ttft_p50", "ttft_p95", "decode_tps_min", "nll_increase", "agreement"}
OF_ANY = {"memory_peak", "artifact_size", "energy"}
ALL = tuple(Budget(metric=name, limit=0.5) for name in METRICS)


def test_every_metric_is_of_one_or_of_both() -> None:
    assert {b.metric for b in budgets_that_fit(TALKS, ALL)} == OF_TEXTS | OF_ANY
    of_others = set(METRICS) - OF_TEXTS - ACCURACIES
    assert {b.metric for b in budgets_that_fit(TELLS, ALL)} == of_others | {"accuracy_drop"}
    assert {b.metric for b in budgets_that_fit(FINDS, ALL)} == of_others | {"map_drop"}
    assert {b.metric for b in budgets_that_fit(MATCHES, ALL)} == of_others | {"recall_drop"}


def test_a_targets_points_of_accuracy_are_a_detectors_points_of_map() -> None:
    theirs = (Budget(metric="accuracy_drop", limit=0.01), Budget(metric="energy", limit=1.0))
    assert budgets_in_its_terms(TELLS, theirs) == theirs
    assert {b.metric: b.limit for b in budgets_in_its_terms(FINDS, theirs)} == {
        "energy": 1.0,
        "map_drop": 0.01,
    }
    own = (*theirs, Budget(metric="map_drop", limit=0.02))
    assert [b.limit for b in budgets_in_its_terms(FINDS, own)] == [1.0, 0.02]


def test_they_are_an_image_text_models_points_of_recall() -> None:
    theirs = (Budget(metric="accuracy_drop", limit=0.01),)
    assert budgets_in_its_terms(MATCHES, theirs) == (Budget(metric="recall_drop", limit=0.01),)
    own = (*theirs, Budget(metric="recall_drop", limit=0.02))
    assert [b.limit for b in budgets_in_its_terms(MATCHES, own)] == [0.02]


def test_boxes_and_labels_have_each_a_budget_of_their_own() -> None:
    with pytest.raises(UsageError, match=r"accuracy_drop cannot be judged of a detector.*map_drop"):
        require_budgets_for(FINDS, (Budget(metric="accuracy_drop", limit=0.01),))
    with pytest.raises(UsageError, match=r"map_drop cannot be judged of a model that finds no box"):
        require_budgets_for(TELLS, (Budget(metric="map_drop", limit=0.01),))
    with pytest.raises(UsageError, match=r"accuracy_drop cannot .* an image-text model.*recall"):
        require_budgets_for(MATCHES, (Budget(metric="accuracy_drop", limit=0.01),))
    with pytest.raises(UsageError, match=r"recall_drop cannot .* of images or texts alone"):
        require_budgets_for(TELLS, (Budget(metric="recall_drop", limit=0.01),))


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
