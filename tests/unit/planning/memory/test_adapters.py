"""LoRA's parameters, by hand and as published."""

import msgspec

from deployopt.planning.memory.adapters import adapter_parameters, prefix_parameters
from tests.fakes.transformers_shapes import decoder, llama


def test_every_matrix_has_two_thin_ones() -> None:
    # q and o 8 x 8, k and v 8 x 4, gate and up 8 x 16, down 16 x 8: in + out, two layers.
    assert adapter_parameters(decoder(), 1) == 2 * (2 * 16 + 2 * 12 + 3 * 24)


def test_queries_and_values_of_llama_2_as_litgpt_counts_them() -> None:
    assert adapter_parameters(llama(), 8, attention_only=True) == 4_194_304


def test_every_expert_has_its_own() -> None:
    stack = msgspec.structs.replace(decoder().stacks[0], experts=4, experts_used=2, expert_ffn=16)
    dense = adapter_parameters(decoder(), 1)
    assert adapter_parameters(decoder(stacks=(stack,)), 1) == dense + 2 * 3 * 3 * 24


def test_a_prefix_has_a_key_and_a_value_a_layer_and_token() -> None:
    shape = decoder()
    assert prefix_parameters(shape, 3) == 3 * 2 * 2 * 4 + shape.head_parameters
