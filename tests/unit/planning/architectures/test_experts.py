"""Mixtures of experts: what is routed, what every token passes, what is dense."""

import pytest

from deployopt.core.errors import UsageError
from deployopt.planning.architectures import read_architecture


def test_mixtral_uses_two_of_eight() -> None:
    found = read_architecture({"model_type": "mixtral"})
    stack = found.stacks[0]
    assert (stack.experts, stack.experts_used, stack.expert_ffn) == (8, 2, 14336)
    assert found.expert_parameters == 32 * 8 * 3 * 4096 * 14336
    assert found.active_parameters == pytest.approx(12.88e9, rel=1e-3)


def test_qwen_names_its_dense_layers() -> None:
    config = {
        "model_type": "qwen2_moe",
        "num_hidden_layers": 6,
        "decoder_sparse_step": 2,
        "mlp_only_layers": [3],
    }
    stack = read_architecture(config).stacks[0]
    assert stack.dense_layers == 4
    assert (stack.shared_ffn, stack.expert_ffn, stack.ffn) == (5632, 1408, 5632)


def test_deepseek_keeps_a_latent_vector_and_three_dense_layers() -> None:
    found = read_architecture({"model_type": "deepseek_v3"})
    stack = found.stacks[0]
    assert stack.kept == 512 + 64
    assert (stack.dense_layers, stack.shared_ffn, stack.experts_used) == (3, 2048, 8)
    assert found.active_parameters == pytest.approx(37.5e9, rel=0.01)


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe", "deepseek_v3", "gpt_oss"])
def test_more_used_than_there_are_is_refused(family: str) -> None:
    with pytest.raises(UsageError, match="num_experts_per_tok, but at most the"):
        read_architecture({"model_type": family, "num_experts_per_tok": 2000})
