"""Advice for whole requests: the ones that people ask, and absurd ones."""

import subprocess
import sys
import time

import pytest

from deployopt.core.artifact import Precision
from deployopt.core.budget import parse_budget
from deployopt.core.recommendation import Recommendation
from deployopt.core.request import RecommendRequest
from deployopt.core.standing import Standing
from deployopt.core.tasks import ModelTask, parse_task
from deployopt.planning.recommending import recommend
from deployopt.planning.targets import load_target

LIMIT_S = 0.5


def ask(task: str, target: str, **asked: object) -> Recommendation:
    return recommend(
        RecommendRequest(task=parse_task(task), target=load_target(target), **asked)  # type: ignore[arg-type]
    )


def about(found: Recommendation, topic: str) -> str:
    assert found.choice is not None
    return " | ".join(reason.text for reason in found.choice.reasons if reason.about == topic)


def test_sentiment_on_a_raspberry_pi() -> None:
    found = ask("sentiment", "rpi4", examples=8_000)
    choice = found.choice
    assert choice is not None
    assert choice.alias in {"distilbert", "distilroberta", "minilm", "mobilebert", "tinybert-6l"}
    assert choice.precision is Precision.INT8
    assert choice.runtime == "ONNX Runtime, CPU"
    assert any(step.startswith("int8 dynamic") for step in choice.compression)
    assert choice.training is not None
    assert choice.training.where != "rpi4"
    assert "train elsewhere" in about(found, "where")
    folder = f"./{choice.alias}-"
    line = f"--model {folder}taught --data {folder}tuned/held-out.jsonl"
    assert choice.commands == (f"deployopt build --target rpi4 {line}",)
    assert found.cost is not None
    assert found.cost.training is not None


def test_every_reason_has_a_number_and_every_refusal_too() -> None:
    found = ask("sentiment", "rpi4", examples=8_000)
    assert found.choice is not None
    unnumbered = [r.about for r in found.choice.reasons if not any(c.isdigit() for c in r.text)]
    assert set(unnumbered) <= {"licence", "build", "script"}
    assert found.refused
    assert all(any(c.isdigit() for c in text) for text in found.refused.values())


def test_alternatives_trade_something_and_come_from_elsewhere() -> None:
    found = ask("sentiment", "rpi4", examples=8_000)
    assert found.choice is not None
    assert 3 <= len(found.alternatives) <= 5
    assert all(other.trade for other in found.alternatives)
    assert {other.tier for other in found.alternatives} - {found.choice.tier}
    assert found.choice.alias not in {other.alias for other in found.alternatives}


def test_few_examples_freeze_and_augment() -> None:
    found = ask("sentiment", "rpi4", examples=600)
    assert found.choice is not None
    assert found.choice.tier == "light"
    training = found.choice.training
    assert training is not None
    assert training.training.method.value == "freeze"
    assert "EDA" in training.augmentation
    assert "--method freeze" in training.commands[0]


def test_detection_on_a_card() -> None:
    found = ask("detection", "rtx3060", examples=20_000)
    choice = found.choice
    assert choice is not None
    assert choice.alias.startswith(("yolo", "rt-detr"))
    assert choice.tier == "middle"
    assert choice.precision is Precision.FP16
    assert choice.batch > 1
    assert choice.training is not None
    assert choice.training.where == "rtx3060"
    assert any(other.licence == "apache-2.0" for other in found.alternatives)


def test_a_camera_on_a_board_gets_the_fastest_and_a_warning() -> None:
    found = ask("detection", "rpi4", realtime=True)
    assert found.choice is not None
    assert found.choice.tier == "light"
    assert found.choice.within_latency is Standing.OUTSIDE
    assert "over the 33.3 ms of real time" in found.warnings[0]
    assert found.choice.alias not in found.refused


def test_image_generation_with_two_million_examples() -> None:
    found = ask("text-to-image", "a100x4", examples=2_000_000)
    assert found.choice is not None
    assert found.choice.alias.startswith("sd")
    training = found.choice.training
    assert training is not None
    assert training.where == "a100x4"
    assert training.training.devices == 4
    assert training.training.sharding.value in {"ddp", "fsdp"}
    assert training.standing is Standing.INSIDE
    assert training.hours is not None
    assert training.hours.value < 100
    assert training.training.batch > 1
    (line,) = training.commands
    assert "train_text_to_image" in line
    assert "all parameters are trained" in about(found, "training")


def test_image_generation_with_few_examples_trains_adapters_at_home() -> None:
    found = ask("text-to-image", "rtx3060", examples=3_000)
    assert found.choice is not None
    assert found.choice.training is not None
    assert found.choice.training.where == "rtx3060"
    assert found.choice.training.training.method.value == "lora"


def test_chat_on_a_card() -> None:
    found = ask("text-generation", "rtx3060", realtime=True)
    choice = found.choice
    assert choice is not None
    assert choice.standing is Standing.INSIDE
    assert choice.within_latency is Standing.INSIDE
    assert choice.predicted["decode_tps"].lower >= 5.5
    assert choice.memory is not None
    assert choice.memory.total.upper <= 11 * 2**30
    assert choice.commands
    assert choice.commands[-1].startswith("deployopt build --target rtx3060 --model ")


def test_speech_on_a_board_keeps_up_with_the_speaker() -> None:
    found = ask("speech", "rpi5", realtime=True)
    assert found.choice is not None
    assert found.choice.alias.startswith(("whisper", "distil-whisper"))
    assert found.choice.predicted["latency_s"].upper <= 30


def test_embeddings_without_a_limit() -> None:
    found = ask("embeddings", "x86-cpu")
    assert found.choice is not None
    assert found.choice.within_latency is None
    assert found.choice.training is None


def test_a_large_machine_takes_the_best_and_splits_it() -> None:
    found = ask("text-generation", "a100x4", examples=200_000)
    assert found.choice is not None
    assert found.choice.tier == "large"
    assert found.choice.training is not None
    assert found.choice.training.training.devices == 4


def test_nothing_fits_and_what_would() -> None:
    found = ask("text-generation", "rpi4", budgets=(parse_budget("memory_peak", "50 MiB"),))
    assert found.choice is None
    assert found.cost is None
    assert len(found.refused) > 10
    assert "Loosen the budgets" in found.warnings[0]


def test_nothing_in_time_names_the_fastest_with_a_warning() -> None:
    found = ask("ner", "rpi4", budgets=(parse_budget("latency_p95", "1 us"),))
    assert found.choice is not None
    assert "No model is in time on rpi4" in found.warnings[0]
    assert found.choice.within_latency is Standing.OUTSIDE


def test_a_commercial_user_gets_clear_licences_only() -> None:
    found = ask("sentiment", "rpi4", commercial=True, examples=8_000)
    assert found.choice is not None
    assert any("licence" in text for text in found.refused.values())
    assert all("not stated" not in c.licence for c in (found.choice, *found.alternatives))


def test_too_long_a_text_is_refused_by_name() -> None:
    found = ask("sentiment", "rpi4", length=4_000)
    assert found.choice is None
    assert "reads at most 512 tokens" in found.refused["distilbert"]


def test_a_load_a_day_reaches_the_costs() -> None:
    few = ask("sentiment", "rpi4", requests_per_day=100.0).cost
    many = ask("sentiment", "rpi4", requests_per_day=100_000.0).cost
    assert few is not None
    assert many is not None
    assert few.options[0].per_million.value > many.options[0].per_million.value


@pytest.mark.parametrize("target", ["rpi4", "x86-cpu", "rtx3060", "a100x4"])
@pytest.mark.parametrize("task", list(ModelTask))
def test_every_task_on_every_target_is_answered_at_once(task: ModelTask, target: str) -> None:
    began = time.process_time()
    found = ask(task.value, target, examples=5_000, realtime=True)
    assert time.process_time() - began < LIMIT_S
    assert found.choice is not None or found.warnings
    for one in (found.choice, *found.alternatives):
        if one is not None:
            assert one.standing is not Standing.OUTSIDE
            assert all(e.lower <= e.value <= e.upper for e in one.predicted.values())


def test_it_imports_nothing_heavy() -> None:
    code = (
        "import sys; import deployopt.planning.recommending; "
        "print([m for m in ('numpy', 'torch', 'onnx', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
