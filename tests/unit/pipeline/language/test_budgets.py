"""The budgets that a language model's build is judged by."""

import msgspec
import pytest

from deployopt.core.budget import Budget, parse_budget_option
from deployopt.core.errors import UsageError
from deployopt.core.interface import Interface, PromptInputs, Task
from deployopt.core.request import BuildRequest
from deployopt.pipeline.language.budgets import language_budgets
from deployopt.planning.targets import load_target

SPEAKS = Interface(
    task=Task.TEXT_GENERATION, inputs=PromptInputs(context=2048, chat=True), outputs=("logits",)
)


def request(*budgets: str, **own: str) -> BuildRequest:
    target = load_target("x86-cpu")
    return BuildRequest(
        model="m",
        target=msgspec.structs.replace(target, budgets=own) if own else target,
        budgets=tuple(parse_budget_option(one) for one in budgets),
    )


def limits(found: tuple[Budget, ...]) -> dict[str, float]:
    return {one.metric: one.limit for one in found}


def test_a_targets_budgets_for_classifiers_do_not_count_and_that_is_said() -> None:
    found, said = language_budgets(request(), SPEAKS)
    assert limits(found) == {"memory_peak": 3 * 2**30, "nll_increase": 0.02}
    assert len(said) == 1
    assert "accuracy_drop, artifact_size, latency_p95, memory_peak of target x86-cpu" in said[0]


def test_a_target_that_speaks_of_language_models_is_taken_at_its_word() -> None:
    asked = request(nll_increase="1 %", memory_peak="1 GiB", latency_p95="60 ms")
    found, said = language_budgets(asked, SPEAKS)
    assert limits(found) == {"memory_peak": 2**30, "nll_increase": 0.01}
    assert said[0].startswith("latency_p95 of target")


def test_a_quality_that_was_asked_for_stands_alone() -> None:
    found, _ = language_budgets(request("agreement=95%", "decode_tps_min=8"), SPEAKS)
    assert set(limits(found)) == {"agreement", "decode_tps_min", "memory_peak"}
    found, _ = language_budgets(request("nll_increase=5%", "memory_peak=400 MiB"), SPEAKS)
    assert limits(found) == {"nll_increase": pytest.approx(0.05), "memory_peak": 400 * 2**20}


def test_a_classifiers_budget_that_was_asked_for_is_refused() -> None:
    with pytest.raises(UsageError, match="latency_p95 and accuracy_drop cannot be judged"):
        language_budgets(request("latency_p95=1ms", "accuracy_drop=1pt"), SPEAKS)


def test_accuracy_without_questions_says_what_to_give() -> None:
    with pytest.raises(UsageError, match="file of them with --questions"):
        language_budgets(request("accuracy_drop=1pt"), SPEAKS)


def asking(*budgets: str, **own: str) -> BuildRequest:
    return msgspec.structs.replace(request(*budgets, **own), questions="questions.jsonl")


def test_with_questions_the_targets_accuracy_counts_beside_the_likelihood() -> None:
    found, said = language_budgets(asking(), SPEAKS)
    assert limits(found) == {
        "accuracy_drop": 0.01,
        "memory_peak": 3 * 2**30,
        "nll_increase": 0.02,
    }
    assert "accuracy_drop" not in said[0]
    assert "--questions" not in said[0]


def test_an_accuracy_that_was_asked_for_stands_alone() -> None:
    found, _ = language_budgets(asking("accuracy_drop=3pt"), SPEAKS)
    assert limits(found) == {"accuracy_drop": 0.03, "memory_peak": 3 * 2**30}
    found, _ = language_budgets(asking("accuracy_drop=3pt", "nll_increase=5%"), SPEAKS)
    assert set(limits(found)) == {"accuracy_drop", "memory_peak", "nll_increase"}


def test_a_target_of_language_models_may_limit_accuracy_too() -> None:
    own = {"accuracy_drop": "2 pt", "nll_increase": "1 %"}
    assert limits(language_budgets(asking(**own), SPEAKS)[0]) == {
        "accuracy_drop": 0.02,
        "nll_increase": 0.01,
    }
    assert limits(language_budgets(request(**own), SPEAKS)[0]) == {"nll_increase": 0.01}
