"""The budgets that a language model's build is judged by."""

import pytest

from deployopt.core.budget import parse_budget_option
from deployopt.core.errors import UsageError
from deployopt.core.interface import Interface, PromptInputs, Task
from deployopt.core.request import BuildRequest
from deployopt.pipeline.language.budgets import language_budgets
from deployopt.planning.targets import load_target

SPEAKS = Interface(
    task=Task.TEXT_GENERATION, inputs=PromptInputs(context=2048, chat=True), outputs=("logits",)
)


def request(*budgets: str) -> BuildRequest:
    return BuildRequest(
        model="m",
        target=load_target("x86-cpu"),
        budgets=tuple(parse_budget_option(one) for one in budgets),
    )


def test_a_targets_budgets_for_classifiers_do_not_count_and_that_is_said() -> None:
    found, said = language_budgets(request(), SPEAKS)
    assert [one.metric for one in found] == ["artifact_size", "memory_peak", "nll_increase"]
    assert found[-1].limit == 0.02
    assert len(said) == 1
    assert "accuracy_drop and latency_p95 of target x86-cpu" in said[0]


def test_a_quality_that_was_asked_for_stands_alone() -> None:
    found, _ = language_budgets(request("agreement=95%", "decode_tps_min=8"), SPEAKS)
    assert [one.metric for one in found] == [
        "agreement",
        "artifact_size",
        "decode_tps_min",
        "memory_peak",
    ]
    found, _ = language_budgets(request("nll_increase=5%"), SPEAKS)
    assert {one.metric: one.limit for one in found}["nll_increase"] == pytest.approx(0.05)


def test_a_classifiers_budget_that_was_asked_for_is_refused() -> None:
    with pytest.raises(UsageError, match="accuracy_drop"):
        language_budgets(request("accuracy_drop=1pt"), SPEAKS)
