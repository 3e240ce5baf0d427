"""The closed forms against the products that the real classes run, counted by torch."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from deployopt.core.architecture import Architecture
from deployopt.core.plan import Facts
from deployopt.core.workload import Workload
from deployopt.planning.architectures import read_architecture
from deployopt.planning.operations import facts_of, prefill_facts

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]
BATCH: Final = 2
TOKENS: Final = 24
_COMMON: Final[Mapping[str, Any]] = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
}  # fmt: skip
_TEXT: Final = {**_COMMON, "vocab_size": 100}
_GROUPED: Final = {**_TEXT, "num_key_value_heads": 2}
_PAIR: Final = {
    "d_model": 64, "encoder_ffn_dim": 96, "decoder_ffn_dim": 80, "encoder_layers": 3,
    "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "vocab_size": 100, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "decoder_start_token_id": 1,
}  # fmt: skip
DECODERS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "Llama": ("LlamaForCausalLM", {**_GROUPED, "head_dim": 24}),
    "Mixtral": (
        "MixtralForCausalLM",
        {**_GROUPED, "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": None},
    ),
    "Gemma2": ("Gemma2ForCausalLM", {**_GROUPED, "head_dim": 16, "sliding_window": 100}),
    "GPT2": (
        "GPT2LMHeadModel",
        {"n_embd": 64, "n_layer": 3, "n_head": 4, "vocab_size": 100, "n_positions": 64},
    ),
    "DeepseekV3": (
        "DeepseekV3ForCausalLM",
        {**_TEXT, "num_key_value_heads": 4, "q_lora_rank": 32, "kv_lora_rank": 16,
         "qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 12, "n_routed_experts": 8,
         "num_experts_per_tok": 2, "moe_intermediate_size": 32, "n_shared_experts": 1,
         "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1},
    ),
}  # fmt: skip
PAIRS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "T5": (
        "T5ForConditionalGeneration",
        {"d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 3, "num_heads": 4,
         "vocab_size": 100, "feed_forward_proj": "gated-gelu"},
    ),
    "Bart": ("BartForConditionalGeneration", _PAIR),
    "Whisper": (
        "WhisperForConditionalGeneration",
        {**_PAIR, "num_mel_bins": 20, "max_source_positions": 50, "suppress_tokens": [],
         "begin_suppress_tokens": []},
    ),
}  # fmt: skip
ENCODERS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "Bert": ("BertForSequenceClassification", _TEXT),
    "Albert": ("AlbertForSequenceClassification", {**_TEXT, "embedding_size": 16}),
    "MobileBert": (
        "MobileBertForSequenceClassification",
        {"vocab_size": 100, "num_hidden_layers": 2, "classifier_activation": False},
    ),
    "ModernBert": (
        "ModernBertForSequenceClassification",
        {**_TEXT, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1,
         "sep_token_id": 2, "local_attention": 8},
    ),
    "ViT": ("ViTForImageClassification", {**_COMMON, "image_size": 32, "patch_size": 8}),
    "Swin": (
        "SwinForImageClassification",
        {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 2],
         "num_heads": [2, 4], "window_size": 4},
    ),
}  # fmt: skip


def built(family: str, name: str, sizes: Mapping[str, Any]) -> tuple[Any, Architecture]:
    """The class at its first weights, and what its config tells."""
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{family}Config")(**sizes)
    model = getattr(transformers, name)(config).eval().requires_grad_(False)  # noqa: FBT003
    # The counter knows plain products; fused ones are none to it.
    model.set_attn_implementation("eager")
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    return model, read_architecture(config.to_dict() | {"architectures": [name]})


def counted(model: Any, **inputs: Any) -> float:
    """Multiply-adds of one run."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(**inputs)
    return float(counter.get_total_flops()) / 2


def products(facts: Facts) -> float:
    return sum(one.macs * one.count for one in facts.operations if one.kind != "elementwise")


def ids(tokens: int = TOKENS) -> Any:
    torch = pytest.importorskip("torch")
    return torch.arange(BATCH * tokens).reshape(BATCH, tokens) % 90 + 3


@pytest.mark.parametrize("family", DECODERS)
def test_a_prompt_of_a_decoder(family: str) -> None:
    model, shape = built(family, *DECODERS[family])
    found = products(prefill_facts(shape, batch=BATCH, prompt=TOKENS))
    (stack,) = shape.stacks
    masked = TOKENS * TOKENS - TOKENS * (TOKENS + 1) // 2
    pairs = BATCH * masked * stack.layers * stack.heads
    # Not fused, the masked half is computed as well.
    half = pairs * (stack.head_dim + (stack.value_dim or stack.head_dim))
    assert found + half == counted(model, input_ids=ids(), logits_to_keep=1)
    assert shape.parameters == sum(one.numel() for one in model.parameters())


@pytest.mark.parametrize("family", PAIRS)
def test_the_start_of_an_encoder_decoder(family: str) -> None:
    torch = pytest.importorskip("torch")
    model, shape = built(family, *PAIRS[family])
    given = (
        {"input_features": torch.ones(BATCH, 20, 100)}
        if family == "Whisper"
        else {"input_ids": ids()}
    )
    found = products(prefill_facts(shape, batch=BATCH, prompt=TOKENS))
    assert found == counted(model, decoder_input_ids=ids(1), **given)


@pytest.mark.parametrize("family", ENCODERS)
def test_a_pass_of_an_encoder(family: str) -> None:
    torch = pytest.importorskip("torch")
    model, shape = built(family, *ENCODERS[family])
    found = products(facts_of(shape, Workload(batch=BATCH, length=TOKENS)))
    images = {"pixel_values": torch.ones(BATCH, 3, 32, 32)}
    given = images if family in {"ViT", "Swin"} else {"input_ids": ids()}
    assert found == counted(model, **given)


def test_a_vision_transformer_that_lost_a_head() -> None:
    torch = pytest.importorskip("torch")
    sizes = {**ENCODERS["ViT"][1], "num_attention_heads": 3, "head_dim": 16}
    model, shape = built("ViT", "ViTForImageClassification", sizes)
    found = products(facts_of(shape, Workload(batch=BATCH)))
    assert found == counted(model, pixel_values=torch.ones(BATCH, 3, 32, 32))
    assert shape.parameters == sum(one.numel() for one in model.parameters())
