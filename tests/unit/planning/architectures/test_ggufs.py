"""A header's sizes make the shape that the same model's config makes."""

import math

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.weights import StoredWeights
from deployopt.planning.architectures import read_architecture
from deployopt.planning.architectures.ggufs import KINDS, gguf_architecture
from deployopt.planning.architectures.reading import FAMILIES

SIZES: dict[str, object] = {
    "embedding_length": 64,
    "block_count": 2,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
    "feed_forward_length": 96,
    "context_length": 512,
}
CONFIG: dict[str, object] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "max_position_embeddings": 512,
    "vocab_size": 400,
}
TABLE = {"token_embd.weight": (400, 64)}


def stored(count: int, **tensors: tuple[int, ...]) -> StoredWeights:
    return StoredWeights(elements={"Q4_1": count - 64, "F32": 64}, bytes=count, tensors=tensors)


def test_a_header_says_what_a_config_says() -> None:
    own = read_architecture({**CONFIG, "model_type": "qwen2", "tie_word_embeddings": True})
    found = gguf_architecture("qwen2", SIZES, stored(own.parameters, **TABLE), "Q4_1")
    assert (found.stacks, found.vocabulary, found.tied) == (own.stacks, 400, True)
    assert (found.parameters, found.positions) == (own.parameters, 512)
    assert (found.dtype, found.basis) == ("q4_1", "the header of the GGUF file")
    assert found.stored == {"q4_1": own.parameters - 64, "f32": 64}


def test_a_head_of_its_own_and_biases_are_seen_in_the_tensors() -> None:
    names = {"output.weight": (400, 64), "blk.0.attn_q.bias": (64,)}
    tied = gguf_architecture("llama", SIZES, stored(10**5, **TABLE), "F16")
    found = gguf_architecture("llama", SIZES, stored(10**5, **TABLE, **names), "F16")
    assert (tied.tied, found.tied, found.dtype) == (True, False, "float16")
    assert found.head_parameters == 400 * 64
    assert "parameters than its sizes" in found.basis


def test_mixtures_of_experts() -> None:
    sizes = {**SIZES, "expert_count": 8, "expert_used_count": 2}
    found = gguf_architecture("llama", sizes, stored(10**6, **TABLE), "Q4_1")
    assert (found.model_type, found.stacks[0].experts, found.stacks[0].experts_used) == (
        "mixtral",
        8,
        2,
    )
    sizes["expert_feed_forward_length"] = 32
    found = gguf_architecture("qwen3moe", sizes, stored(10**6, **TABLE), "Q4_1")
    assert found.stacks[0].expert_ffn == 32


def test_windows_and_wide_heads() -> None:
    sizes = {**SIZES, "attention.key_length": 32, "attention.sliding_window": 64}
    stack = gguf_architecture("gemma2", sizes, stored(10**5, **TABLE), "Q4_1").stacks[0]
    assert (stack.head_dim, stack.window, stack.window_layers) == (32, 64, 1)


def test_every_kind_has_a_reader() -> None:
    assert set(KINDS.values()) <= set(FAMILIES)
    for kind in KINDS:
        found = gguf_architecture(kind, SIZES, stored(10**5, **TABLE), "F32")
        assert found.generates
        assert math.prod(TABLE["token_embd.weight"]) <= found.embedding_parameters


@pytest.mark.parametrize(
    ("kind", "sizes", "tensors", "said"),
    [
        ("bert", SIZES, TABLE, "kind 'bert'"),
        ("llama", {}, TABLE, "llama.embedding_length, llama.block_count"),
        ("llama", SIZES, {}, "token_embd.weight"),
        ("llama", SIZES, {"token_embd.weight": (400,)}, "vocab_size"),
        ("llama", {**SIZES, "block_count": 10**12}, TABLE, "num_hidden_layers"),
        ("llama", {**SIZES, "attention.head_count": (4, 2)}, TABLE, "num_attention_heads"),
        ("llama", {**SIZES, "attention.head_count": 0}, TABLE, "num_attention_heads"),
        ("llama", {**SIZES, "embedding_length": 64.5}, TABLE, "hidden_size"),
    ],
)
def test_what_is_wrong_is_told_with_a_way_out(
    kind: str, sizes: dict[str, object], tensors: dict[str, tuple[int, ...]], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        gguf_architecture(kind, sizes, stored(10**5, **tensors), "Q4_1")
    assert "--params 7B" in str(raised.value)
    assert "\n" not in str(raised.value)
