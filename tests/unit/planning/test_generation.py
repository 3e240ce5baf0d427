"""Prefill and decode: bounded by arithmetic and by bandwidth."""

import pytest

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.artifact import Precision
from deployopt.planning.generation import predict_generation
from deployopt.planning.targets import load_target

LLAMA = Architecture(
    model_type="llama",
    stacks=(
        Stack(
            name="decoder", layers=32, hidden=4096, heads=32, kv_heads=32, head_dim=128,
            ffn=11008, gated=True, causal=True, rms=True,
        ),
    ),
    vocabulary=32000,
    parameters=6_738_000_000,
    embedding_parameters=131_072_000,
    head_parameters=131_072_000,
    basis="its config.json",
)  # fmt: skip


def test_decode_reads_the_weights_once_a_token() -> None:
    found = predict_generation(
        load_target("rtx4090"), LLAMA, Precision.FP16, prompt=512, context=512
    )
    ideal = 1008e9 / (2 * 6.6e9)
    assert 0.4 * ideal < found["decode_tps"].value < ideal
    assert found["prefill_tps"].value > 20 * found["decode_tps"].value
    assert found["ttft_s"].value == pytest.approx(512 / found["prefill_tps"].value)
    for one in found.values():
        assert one.lower < one.value < one.upper


def test_published_decoding_lies_in_the_band() -> None:
    """llama.cpp on an RTX 4090, Llama 2 7B in fp16: 60.78 tokens a second (December 2023)."""
    found = predict_generation(
        load_target("rtx4090"), LLAMA, Precision.FP16, prompt=512, context=128
    )
    assert found["decode_tps"].lower <= 60.78 <= found["decode_tps"].upper


def test_four_bits_decode_faster_and_a_longer_context_slower() -> None:
    target = load_target("rtx3060")
    whole, short = (
        predict_generation(target, LLAMA, p, prompt=64, context=512)["decode_tps"].value
        for p in (Precision.FP16, Precision.INT4)
    )
    assert 1.8 * whole < short < 4 * whole
    far = predict_generation(target, LLAMA, Precision.FP16, prompt=64, context=4096)
    assert far["decode_tps"].value < whole


def test_batches_share_the_weights() -> None:
    target = load_target("a100")
    one, eight = (
        predict_generation(target, LLAMA, Precision.FP16, prompt=64, context=256, batch=n)
        for n in (1, 8)
    )
    assert 4 < eight["decode_tps"].value / one["decode_tps"].value < 8


def test_a_split_over_gpus_is_faster_but_not_so_many_times() -> None:
    target = load_target("a100x4")
    one, four = (
        predict_generation(target, LLAMA, Precision.FP16, prompt=2048, context=2048, devices=n)
        for n in (1, 4)
    )
    for key in ("decode_tps", "prefill_tps"):
        assert 1.3 < four[key].value / one[key].value < 4
    assert "split over 4 GPUs" in four["ttft_s"].basis


def test_what_makes_no_tokens_is_not_predicted() -> None:
    encoder = Architecture(
        model_type="bert",
        stacks=(
            Stack(name="encoder", layers=2, hidden=64, heads=2, kv_heads=2, head_dim=32, ffn=128),
        ),
        parameters=1000,
        basis="its config.json",
    )
    target = load_target("rpi5")
    assert predict_generation(target, encoder, Precision.FP32, prompt=8, context=8) == {}
    assert predict_generation(target, LLAMA, Precision.FP8, prompt=8, context=8) == {}
