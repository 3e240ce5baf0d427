"""What free text says, in many spellings."""

import pytest

from benchmarks.memory_settings import Row, Way, read_way
from deployopt.core.memory import Method, Optimizer, Sharding


def way(setting: str, kind: str = "inference", **columns: str) -> Way:
    known = {"seq": "", "batch": "", "note": "", "source": ""} | columns
    return read_way(
        Row(
            model="m",
            params_b="7",
            setting=setting,
            kind=kind,
            measured_gb="1",
            unit="GB",
            **known,
        )
    )


@pytest.mark.parametrize(
    ("setting", "bits"),
    [
        ("fp16", 16.0),
        ("infer bf16", 16.0),
        ("int8 bnb", 8.16),
        ("8-bit", 8.16),
        ("gptq-int8", 8.16),
        ("int4-gptq", 4.25),
        ("AWQ", 4.25),
        ("GPTQ 4 bit", 4.25),
        ("bnb-nf4", 4.5),
        ("nf4 double quant", 4.127),
        ("nf4-dq", 4.127),
        ("bnb 4-bit (NF4, double quant)", 4.127),
        ("q4_k_m gguf", 4.85),
        ("float32", 32.0),
        ("bf16 compute, nf4 weights", 4.5),
    ],
)
def test_bits(setting: str, bits: float) -> None:
    assert way(setting).bits == bits


@pytest.mark.parametrize(
    ("setting", "kind", "method"),
    [
        ("full ft adamw", "full", Method.FULL),
        ("lora r=16 bf16", "lora", Method.LORA),
        ("qlora nf4", "qlora", Method.QLORA),
        ("Q-LoRA", "training", Method.QLORA),
        ("bf16", "training", Method.FULL),
        ("LoRA (emb) bf16", "lora", Method.LORA),
        ("bf16", "ptuning", Method.LORA),
        ("qlora nf4", "dpo", Method.QLORA),
        ("fp16 finetune", "inference", None),
    ],
)
def test_methods(setting: str, kind: str, method: Method | None) -> None:
    found = way(setting, kind)
    assert found.method is method
    assert found.unread == ()


def test_a_long_setting_is_taken_apart() -> None:
    found = way("full fine-tuning bf16 + gradient checkpointing, 8-bit Adam, ZeRO-3 8xH100", "full")
    assert found.checkpointing is True
    assert found.optimizer is Optimizer.ADAMW_8BIT
    assert (found.sharding, found.devices) == (Sharding.FSDP, 8)
    assert found.bits == 16.0
    assert found.unread == ()


def test_devices_cards_and_sums() -> None:
    assert way("zero2 4xA100", "full").devices == 4
    assert way("lora (4090)", "lora").card_gb == 24
    assert way("full-ft zero3 on 8 GPUs", "full").devices == 8
    assert way("full-ft zero3 2xA100 (sum)", "full").summed
    assert way("full-ft", "full").card_gb is None


def test_checkpointing_is_none_where_nobody_says() -> None:
    assert way("lora", "lora").checkpointing is None
    assert way("lora no-ckpt", "lora").checkpointing is False
    assert way("lora without gradient checkpointing", "lora").checkpointing is False


@pytest.mark.parametrize(
    ("seq", "tokens", "generated", "side"),
    [
        ("", None, None, None),
        ("short", None, None, None),
        ("2048", 2048, None, None),
        ("4k", 4096, None, None),
        ("6144+2048", 6144, 2048, None),
        ("1024x768", None, None, 1024),
    ],
)
def test_lengths(seq: str, tokens: int | None, generated: int | None, side: int | None) -> None:
    found = way("fp16", seq=seq)
    assert (found.tokens, found.generated, found.side) == (tokens, generated, side)


def test_a_length_that_is_no_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        way("fp16", seq="long")


def test_caches_and_generation() -> None:
    found = way("bf16 gen1024 kv-int8", seq="1024", batch="16")
    assert (found.cache_bytes, found.generated, found.batch) == (1.0, 1024, 16)
    assert found.growing
    assert way("fp16 KV cache int8").cache_bytes == 1.0


def test_notes_and_sources_count_too() -> None:
    noted = way("lora bf16", "lora", note="LoRA r=8 on q,v; reserved/nvidia-smi style")
    assert (noted.rank, noted.attention_only, noted.allocated) == (8, True, False)
    assert way("fp16", source="a script, max_memory_allocated").allocated is True
    assert way("fp16").allocated is None
    assert way("fp16", note="GQA; +2048 generated").generated == 2048


def test_words_that_say_nothing_known_are_kept() -> None:
    assert way("fp16 with pepper").unread == ("pepper",)


@pytest.mark.parametrize(
    ("setting", "attention_only"),
    [("lora r32 q,v bf16", True), ("lora qv", True), ("lora all-linear", False), ("lora", None)],
)
def test_targets_of_adapters_may_stand_in_the_setting(
    setting: str,
    attention_only: bool | None,  # noqa: FBT001 -- a column
) -> None:
    found = way(setting, "lora")
    assert found.attention_only is attention_only
    assert found.unread == ()


@pytest.mark.parametrize(
    ("source", "scored"),
    [
        ("a page (HF transformers 4.38, FA2)", True),
        ("transformers==4.44.2", True),
        ("transformers 4.45", False),
        ("transformers 5.1", False),
        ("HF transformers", False),
    ],
)
def test_old_versions_of_transformers_score_the_prompt(source: str, scored: bool) -> None:  # noqa: FBT001 -- a column
    assert way("infer bf16", source=source).scored is scored


def test_the_trainer_of_a_quantized_base() -> None:
    assert way("qlora nf4", "qlora").prepared is None
    assert way("lora int4 (bnb)", "qlora").prepared is True
    assert way("qlora", "qlora", source="transformers 4.49").prepared is True
    assert way("qlora", "qlora", source="transformers 4.49 and TRL").prepared is False


def test_a_source_names_the_card_where_the_setting_does_not() -> None:
    assert way("full-ft bf16", "full", source="a page (H100 80GB, torch 2.5)").card_gb == 80
    assert way("full-ft bf16 (4090)", "full", source="a page (A100-80GB)").card_gb == 24


def test_mixed_is_not_bf16_alone() -> None:
    assert way("full-ft bf16", "full").pure is None
    assert way("full-ft bf16 mixed", "full").pure is False
    assert way("full-ft amp bf16", "full").pure is False
    assert way("full-ft bf16-true", "full").pure is True
    assert (way("full-ft bf16", "full").bfloat, way("full-ft fp16", "full").bfloat) == (True, False)


def test_compiled_losses() -> None:
    assert way("full-ft bf16", "full", source="README (packed, compile)").compiled
    assert not way("full-ft bf16", "full").compiled
