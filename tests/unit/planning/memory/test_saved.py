"""Activations kept for the backward pass, against the published formulas."""

import msgspec
import pytest

from deployopt.core.architecture import Stack
from deployopt.core.artifact import Precision
from deployopt.core.memory import Method, Training
from deployopt.core.plan import Operation
from deployopt.planning.memory.saved import Inputs, saved_bytes, token_bytes
from tests.fakes.transformers_shapes import decoder, encoder, llama

GPT = Stack(
    name="decoder", layers=1, hidden=64, heads=4, kv_heads=4, head_dim=16, ffn=256, causal=True
)


def test_a_frozen_gelu_layer_keeps_12_h_and_4_ffn() -> None:
    assert token_bytes(GPT, 1, Training(), Inputs.NONE) == 12 * 64 + 4 * 256


def test_a_trained_layer_with_dropout_and_scores_is_korthikanti_s() -> None:
    """34 h + 5 a s: their masks of two dropouts are 2 h, and ours are counted for encoders."""
    stack = msgspec.structs.replace(GPT, causal=False)
    training = Training(flash=False, pure=True)
    assert token_bytes(stack, 10, training, Inputs.TRAINED) == 34 * 64 + 5 * 4 * 10


def test_a_swiglu_layer_with_rmsnorm_keeps_20_h_and_8_ffn() -> None:
    stack = llama().stacks[0]
    assert token_bytes(stack, 1, Training(), Inputs.NONE) == 20 * 4096 + 8 * 11008


def test_adapters_keep_four_inputs_more() -> None:
    plain = token_bytes(GPT, 1, Training(), Inputs.NONE)
    copied = token_bytes(GPT, 1, Training(), Inputs.COPIED)
    assert copied - plain == 6 * 64 + 2 * 256


def test_checkpointing_keeps_inputs_and_one_layer() -> None:
    training = Training(length=10, batch=3, checkpointing=True, method=Method.LORA)
    layer = token_bytes(decoder().stacks[0], 10, training, Inputs.COPIED)
    assert saved_bytes(decoder(), training) == 3 * 10 * (2 * 8 * 2 + layer)


def test_full_precision_keeps_twice_as_much_less_the_upcast() -> None:
    half, full = (
        saved_bytes(encoder(), Training(precision=precision, checkpointing=False))
        for precision in (Precision.BF16, Precision.FP32)
    )
    masks = 4 * 2 * 8
    assert full - masks == 2 * (half - masks)


def test_lower_layers_that_are_frozen_keep_nothing() -> None:
    whole, part = (
        saved_bytes(decoder(), Training(method=method, trained_share=0.25))
        for method in (Method.FULL, Method.FREEZE)
    )
    assert part == pytest.approx(whole / 4)


def test_a_convolution_keeps_what_it_reads_and_writes() -> None:
    work = Operation(kind="conv3x3", macs=9, weights=10, activations=50, count=2)
    plain = Operation(kind="elementwise", macs=0, weights=0, activations=1000)
    net = msgspec.structs.replace(encoder(), stacks=(), operations=(work, plain), parameters=20)
    assert saved_bytes(net, Training(batch=4)) == 4 * 100 * 2


def test_a_denoiser_is_trained_one_step_at_a_time() -> None:
    once, often = (
        msgspec.structs.replace(
            encoder(),
            stacks=(),
            parameters=20,
            operations=(
                Operation(kind="conv3x3", macs=9, weights=10, activations=50, count=count),
            ),
        )
        for count in (2, 60)
    )
    assert saved_bytes(once, Training()) == pytest.approx(saved_bytes(often, Training()))


def test_examples_are_no_longer_than_a_table_of_positions() -> None:
    learned = decoder(learned_positions=True)
    long, longest = (saved_bytes(learned, Training(length=n)) for n in (64, 4096))
    assert long == longest


def test_rotary_positions_go_on() -> None:
    long, longest = (saved_bytes(decoder(), Training(length=n)) for n in (64, 4096))
    assert longest == pytest.approx(64 * long)


def test_layers_that_carry_a_state_keep_no_scores_but_their_own_widths() -> None:
    training = Training(flash=False, pure=True)
    hybrid = msgspec.structs.replace(
        GPT, layers=4, attention_layers=1, state_layers=3, state_parameters=3 * 64 * 128
    )
    attends = token_bytes(GPT, 10, training, Inputs.NONE)
    alone = token_bytes(
        msgspec.structs.replace(hybrid, attention_layers=0, state_layers=4),
        10,
        training,
        Inputs.NONE,
    )
    assert attends - alone == 2 * 4 * 64 + 5 * 4 * 10 - 2 * 3 * 128
    mean = token_bytes(hybrid, 10, training, Inputs.NONE)
    assert mean == pytest.approx((attends + 3 * alone) / 4)
