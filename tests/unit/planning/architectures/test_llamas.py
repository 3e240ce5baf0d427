"""Stacks of decoders: heads, windows, biases, and what they refuse."""

import pytest

from deployopt.core.architecture import Stack
from deployopt.core.errors import UsageError
from deployopt.planning.architectures import read_architecture


def stack(model_type: str, **keys: object) -> Stack:
    return read_architecture({"model_type": model_type, **keys}).stacks[-1]


def test_grouped_queries_and_the_heads_own_width() -> None:
    found = stack("mistral", hidden_size=5120, head_dim=128, num_hidden_layers=40)
    assert (found.heads, found.kv_heads, found.head_dim) == (32, 8, 128)
    assert found.kept == 2 * 8 * 128
    assert found.gated
    assert found.causal
    assert found.rms


@pytest.mark.parametrize(
    ("model_type", "keys", "window", "layers"),
    [
        ("mistral", {}, 4096, 32),
        ("mistral", {"sliding_window": None}, None, 0),
        ("llama", {"sliding_window": 4096}, None, 0),
        ("qwen2", {"sliding_window": 4096}, None, 0),
        ("qwen2", {"use_sliding_window": True, "max_window_layers": 28}, 4096, 4),
        ("qwen3", {"use_sliding_window": True, "max_window_layers": 40}, None, 0),
        ("phi3", {"sliding_window": 2047}, 2047, 32),
        ("gemma2", {}, 4096, 13),
        ("gemma3_text", {"num_hidden_layers": 34, "sliding_window": 1024}, 1024, 29),
        ("cohere2", {}, 4096, 30),
        ("gpt_oss", {}, 128, 18),
        ("gpt_neo", {}, 256, 12),
        ("starcoder2", {"sliding_window": 4096}, 4096, 30),
        (
            "qwen3",
            {
                "use_sliding_window": True,
                "num_hidden_layers": 3,
                "layer_types": ["full_attention", "sliding_attention", "sliding_attention"],
            },
            4096,
            2,
        ),
    ],
)
def test_windows(model_type: str, keys: dict[str, object], window: int | None, layers: int) -> None:
    found = stack(model_type, **keys)
    assert (found.window, found.window_layers) == (window, layers)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"hidden_size": 100, "num_attention_heads": 7}, "no multiple"),
        ({"num_key_value_heads": 5}, "a divisor of the 32 attention heads"),
        ({"num_key_value_heads": 64}, "a divisor of the 32 attention heads"),
        ({"model_type": "qwen3", "use_sliding_window": True, "layer_types": ["a"]}, "32 entries"),
    ],
)
def test_sizes_that_contradict_each_other(keys: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_architecture({"model_type": "llama", **keys})


def test_tied_tables_count_once() -> None:
    tied = read_architecture({"model_type": "llama", "tie_word_embeddings": True})
    apart = read_architecture({"model_type": "llama"})
    table = 32000 * 4096
    assert (tied.tied, apart.tied) == (True, False)
    assert apart.parameters - tied.parameters == table
    assert (tied.embedding_parameters, tied.head_parameters) == (table, 0)
    assert (apart.embedding_parameters, apart.head_parameters) == (table, table)


@pytest.mark.parametrize(
    ("model_type", "tied"),
    [("llama", False), ("gemma", True), ("cohere", True), ("gpt2", True), ("gptj", False),
     ("qwen2", False), ("falcon", True), ("starcoder2", True), ("smollm3", True)],
)  # fmt: skip
def test_each_family_has_its_own_default(model_type: str, tied: bool) -> None:  # noqa: FBT001
    assert read_architecture({"model_type": model_type}).tied is tied


def test_one_key_value_head_for_all() -> None:
    assert stack("falcon").kv_heads == 1
    assert stack("gpt_bigcode").kv_heads == 1
    assert stack("gpt_bigcode", multi_query=False).kv_heads == 12
    newer = {"new_decoder_architecture": True, "hidden_size": 64, "num_attention_heads": 8}
    assert stack("falcon", **newer, num_kv_heads=2).kv_heads == 2
    assert stack("RefinedWeb", **newer, n_head_kv=4).kv_heads == 4
