"""Bytes of weights, by hand."""

import pytest

from deployopt.planning.memory.weights import layer_parameters, weight_parts, widest_matrix
from tests.fakes.transformers_shapes import decoder


def test_half_precision_takes_two_bytes_each() -> None:
    (part,) = weight_parts(decoder(), 16)
    assert (part.name, part.bytes) == ("weights", 2 * 2752)


def test_quantized_models_keep_table_and_head_in_16_bits() -> None:
    weights, kept = weight_parts(decoder(), 4.25)
    assert weights.bytes == pytest.approx(1152 * 4.25 / 8)
    assert (kept.name, kept.bytes) == ("embeddings and head", 3200)


def test_layers_and_matrices_are_counted() -> None:
    stack = decoder().stacks[0]
    assert layer_parameters(stack) == 576
    assert widest_matrix(decoder()) == 128
