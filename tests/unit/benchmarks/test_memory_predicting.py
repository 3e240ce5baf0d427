"""What a row is taken to mean, and how wide its band is where it does not say."""

import pytest

from benchmarks.memory_conventions import Convention
from benchmarks.memory_predicting import Predicted, predict_row
from benchmarks.memory_settings import Row

PARAMETERS = 6_738_415_616


def row(setting: str, kind: str, **columns: str) -> Row:
    known = {
        "model": "llama-2-7b",
        "params_b": "6.738",
        "seq": "1024",
        "batch": "1",
        "measured_gb": "10",
        "unit": "GB",
        "source": "a page",
        "note": "",
    }
    return Row(setting=setting, kind=kind, **(known | columns))


def parts(predicted: Predicted) -> dict[str, float]:
    return {part.name: part.bytes for part in predicted.parts}


@pytest.mark.parametrize(
    ("setting", "each"),
    [
        ("full-ft bf16", 2 + 2 + 4),
        ("full-ft bf16-true", 2 + 2 + 4),
        ("full-ft bf16 mixed", 2 + 4 + 4 + 8),
        ("full-ft ckpt", 2 + 4 + 4 + 8),
        ("full-ft fp16", 2 + 4 + 4 + 8),
    ],
)
def test_bf16_and_no_more_words_is_bf16_alone(setting: str, each: int) -> None:
    found = parts(predict_row(row(setting, "full")))
    states = ("weights", "master weights", "gradients", "optimizer")
    assert sum(found.get(name, 0) for name in states) == pytest.approx(each * PARAMETERS)


def test_shared_training_in_bf16_is_mixed() -> None:
    assert "master weights" in parts(predict_row(row("full-ft bf16 zero3 8xA100", "full")))


def test_a_card_in_the_source_calls_for_leaner_ways() -> None:
    found = predict_row(row("full-ft bf16", "full", source="a page (L40S, torch 2.5)"))
    assert sum(part.bytes for part in found.parts if part.name != "runtime") <= 48 * 2**30


def test_a_base_on_bitsandbytes_is_as_peft_prepares_it() -> None:
    silent, hugging, cast, gptq = (
        predict_row(row(setting, "qlora", source=source))
        for setting, source in (
            ("qlora nf4", "a page"),
            ("qlora nf4", "transformers 4.49"),
            ("qlora nf4", "TRL"),
            ("lora int4 (gptq)", "transformers 4.49"),
        )
    )
    assert parts(hugging)["embeddings and head"] == 2 * parts(silent)["embeddings and head"]
    assert parts(cast) == parts(silent)
    assert silent.estimate.upper == pytest.approx(hugging.estimate.upper, rel=0.02)
    assert cast.estimate.upper < silent.estimate.upper
    assert parts(gptq)["embeddings and head"] == parts(cast)["embeddings and head"]


def test_a_source_s_own_words_count_before_others() -> None:
    said = Convention(cast=False, allocated=True)
    found = predict_row(row("qlora nf4 bnb", "qlora"), said)
    assert parts(found)["embeddings and head"] == 2 * 2 * 32000 * 4096


def test_where_no_precision_is_said_the_band_holds_fp32() -> None:
    bare, half = (predict_row(row(setting, "lora")) for setting in ("lora", "lora bf16"))
    assert bare.estimate.value == half.estimate.value
    assert half.estimate.upper < 4 * PARAMETERS < bare.estimate.upper


def test_batches_of_unsaid_length_have_a_service_s_context() -> None:
    one, several = (parts(predict_row(row("bf16", "inference", seq="", batch=n))) for n in "18")
    token = 2 * 32 * 4096 * 2
    assert one["KV cache"] == 64 * token
    assert several["KV cache"] == 8 * 2048 * token


def test_an_old_transformers_scores_the_prompt() -> None:
    old = parts(predict_row(row("bf16", "inference", source="transformers 4.38")))
    assert old["logits"] == 1024 * 32000 * 6


def test_what_was_measured_and_is_not_said_stands_in_the_band() -> None:
    small = row("bf16", "inference", model="gpt2", params_b="0.124", seq="64")
    found = predict_row(small).estimate
    assert found.value < 0.4e9
    assert found.upper > 1.15e9
    assert found.lower < 0.26e9


def test_reserved_memory_may_be_twice_what_passes() -> None:
    said = predict_row(row("lora bf16 ckpt", "lora", note="max_memory_allocated"))
    silent = predict_row(row("lora bf16 ckpt", "lora"))
    passing = parts(silent)["activations"] + parts(silent)["logits"]
    above = silent.estimate.upper - silent.estimate.value
    assert above > passing
    assert said.estimate.upper - said.estimate.value < above - passing


def test_without_its_convention_a_source_is_read_as_any_other() -> None:
    known = row("infer bf16", "inference", source="github.com/QwenLM/Qwen2.5")
    with_it, without = predict_row(known), predict_row(known, Convention())
    assert with_it.measured == 10 * 2**30
    assert without.measured == 10e9
    assert "runtime" in parts(without)
    assert "runtime" not in parts(with_it)


def test_where_adapters_stand_is_a_source_s_habit_unless_the_row_says() -> None:
    said = Convention(attention_only=True, allocated=True)
    habit, told = (predict_row(row(s, "lora"), said) for s in ("lora bf16", "lora q,v bf16"))
    assert parts(habit) == parts(told)
    assert habit.estimate.upper > told.estimate.upper
