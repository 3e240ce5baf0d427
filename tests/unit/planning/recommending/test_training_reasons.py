"""Why this way of training, why there, and what a script does not do by itself."""

from collections.abc import Callable

from deployopt.catalogue.models import find_entry
from deployopt.core.recommendation import Reason
from deployopt.core.tasks import ModelTask
from deployopt.planning.cost import read_prices
from deployopt.planning.recommending.looking import look
from deployopt.planning.recommending.training import advice_for, plan_for
from deployopt.planning.recommending.training_reasons import training_reasons
from deployopt.planning.recommending.wants import Wants

Ask = Callable[..., Wants]


def reasons(alias: str, asked: Wants, teacher: str | None = None) -> dict[str, str]:
    candidate = look(find_entry(alias), asked, None)
    plan = plan_for(candidate, asked, read_prices(None))
    advice = None if plan is None else advice_for(candidate, plan, asked, teacher)
    found: tuple[Reason, ...] = tuple(training_reasons(candidate, plan, advice, None, asked))
    return {
        about: " | ".join(r.text for r in found if r.about == about)
        for about in {r.about for r in found}
    }


def test_a_board_sends_its_training_away(wants: Ask) -> None:
    found = reasons("distilbert", wants(examples=8_000))
    assert found["where"].startswith("rpi4 is for inference; train elsewhere: ")
    assert "USD" in found["where"]
    assert "8 000 examples reach the 1 000" in found["training"]
    assert found["batch"] == "32 a device x 1 x 1 accumulated = 32 an update"


def test_what_did_not_fit_is_named_with_its_bytes(wants: Ask) -> None:
    asked = wants(ModelTask.TEXT_GENERATION, "rtx3060", examples=8_000)
    found = reasons("qwen2.5-7b", asked)["training"]
    assert "QLoRA" in found
    assert "lora would need" in found
    more = wants(ModelTask.TEXT_GENERATION, "rtx3060", examples=200_000)
    assert "full would need" in reasons("qwen2.5-7b", more)["training"]


def test_several_gpus_are_explained(wants: Ask) -> None:
    asked = wants(ModelTask.TEXT_GENERATION, "a100x4", examples=200_000)
    assert reasons("qwen2.5-0.5b", asked)["devices"].startswith("DDP over 4 GPUs: ")
    assert reasons("qwen2.5-7b", asked)["devices"].startswith("FSDP over 4 GPUs: ")


def test_scripts_that_cannot_freeze_say_how(wants: Ask) -> None:
    few = wants(ModelTask.TOKEN_CLASSIFICATION, "rtx3060", examples=600)
    assert "requires_grad" in reasons("distilbert-ner", few)["script"]
    assert "script" not in reasons("distilbert", wants(examples=600))
    assert "script" not in reasons("distilbert", wants(examples=8_000))


def test_embeddings_are_trained_from_python(wants: Ask) -> None:
    asked = wants(ModelTask.FEATURE_EXTRACTION, "rtx3060", examples=8_000)
    assert "SentenceTransformerTrainer" in reasons("bge-small", asked)["script"]


def test_a_detector_s_own_file_is_described(wants: Ask) -> None:
    asked = wants(ModelTask.OBJECT_DETECTION, "rtx3060", examples=20_000)
    assert "my_yolox_m.py is your own Exp" in reasons("yolox-m", asked)["script"]


def test_no_weights_no_training(wants: Ask) -> None:
    assert "0 public weights" in reasons("demo-sentiment", wants(examples=8_000))["training"]


def test_without_examples_nothing_is_said(wants: Ask) -> None:
    assert reasons("distilbert", wants()) == {}
