"""What the catalogue knows of a language model is refused before it is fetched."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.budget import parse_budget
from deployopt.core.errors import CannotFitError, UsageError
from deployopt.core.request import BuildRequest
from deployopt.pipeline.planning import refuse_early
from deployopt.planning.targets import load_target


def request(model: str, target: str, **budgets: str) -> BuildRequest:
    return BuildRequest(
        model=model,
        target=load_target(target),
        budgets=tuple(parse_budget(name, text) for name, text in budgets.items()),
    )


def test_a_model_that_cannot_fit() -> None:
    with pytest.raises(CannotFitError, match="even as int4"):
        refuse_early(request("llama-2-7b", "rpi4-2gb"))


def test_a_budget_of_classifiers() -> None:
    with pytest.raises(UsageError, match="latency_p95 cannot be judged"):
        refuse_early(request("qwen2.5-0.5b", "rpi5", latency_p95="60 ms"))


@pytest.mark.parametrize(
    ("asked", "option"),
    [
        ({"time_limit_s": 600.0}, "--time-limit"),
        ({"train_data": Path("t.jsonl")}, "--train-data"),
        ({"unlabelled": Path("u.txt")}, "--unlabelled"),
    ],
)
def test_what_only_a_classifier_takes(asked: dict[str, object], option: str) -> None:
    """None of it would be heeded: better refused than passed over."""
    wrong = msgspec.structs.replace(request("demo-chat", "rpi4-8gb"), **asked)
    with pytest.raises(UsageError, match=f"{option} cannot be asked of a language model"):
        refuse_early(wrong)


@pytest.mark.parametrize("target", ["rtx3060", "a100", "t4", "l4", "rtx4090", "h100"])
def test_a_card_needs_no_builder_of_engines(target: str) -> None:
    refuse_early(request("qwen2.5-0.5b", target))


def test_what_would_have_to_run_on_the_card() -> None:
    card = request("demo-chat", "rtx3060")
    with pytest.raises(UsageError, match="--baseline cannot be asked of a language model for a"):
        refuse_early(msgspec.structs.replace(card, baseline=Path("old")))
    with pytest.raises(UsageError, match="--runtime tensorrt-rtx is not for language models"):
        refuse_early(msgspec.structs.replace(card, runtime="tensorrt-rtx"))
    runtime = msgspec.structs.replace(card.target.runtime, provider="tensorrt")
    other = msgspec.structs.replace(card.target, runtime=runtime)
    with pytest.raises(UsageError, match="runs on tensorrt, and language models are built for cpu"):
        refuse_early(msgspec.structs.replace(card, target=other))


def test_a_card_that_is_too_small_and_the_processor_beside_it() -> None:
    with pytest.raises(CannotFitError) as caught:
        refuse_early(request("qwen2.5-72b", "rtx3060"))
    said = str(caught.value)
    assert "even as int4" in said
    assert "The processor beside the card: int4 needs" in said
    assert "Target a100x4" in said


@pytest.mark.parametrize("model", ["qwen2.5-0.5b", "distilbert", "demo-sentiment", "demo-chat"])
def test_what_may_fit_and_what_is_no_language_model_pass(model: str) -> None:
    refuse_early(request(model, "rpi4-8gb"))


def test_files_and_hub_models_are_looked_at_when_they_are_there(tmp_path: Path) -> None:
    refuse_early(request(str(tmp_path), "rtx3060"))
    refuse_early(request("hub:org/name", "rtx3060"))
