"""Requests against the figures of real classes, published counts, and rules that always hold."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.errors import UsageError
from deployopt.core.plan import Facts, Operation
from deployopt.core.workload import Workload
from deployopt.planning.architectures import read_architecture
from deployopt.planning.operations import decode_facts, facts_of, prefill_facts
from tests.fakes.shapes import (
    DECODER,
    ENCODER,
    VISION,
    activations,
    architecture,
    changed,
    macs,
    of_kind,
    weights,
)

FIXED = Workload(length=128)
TEXT = {
    "distilbert": "DistilBertForSequenceClassification",
    "bert": "BertForSequenceClassification",
    "roberta": "RobertaForSequenceClassification",
    "electra": "ElectraForSequenceClassification",
    "mobilebert": "MobileBertForSequenceClassification",
    "vit": "ViTForImageClassification",
}
MINILM = {
    "model_type": "bert",
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "intermediate_size": 1536,
    "num_attention_heads": 12,
}
LLAMA = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096,
    "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 32, "vocab_size": 32000, "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}  # fmt: skip


def read(config: dict[str, object]) -> Architecture:
    """A classifier, where the config does not say what it is."""
    name = TEXT.get(str(config["model_type"]))
    return read_architecture({"architectures": [name]} | config)


def facts(
    config: dict[str, object], workload: Workload = FIXED, length: int | None = None
) -> Facts:
    return facts_of(read(config), workload, length)


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        ({"model_type": "distilbert"}, 66_955_010),
        ({"model_type": "bert"}, 109_483_778),
        (MINILM, 22_713_986),
        (
            {
                "model_type": "roberta",
                "vocab_size": 50265,
                "max_position_embeddings": 514,
                "type_vocab_size": 1,
            },
            124_647_170,
        ),
        ({"model_type": "electra"}, 13_549_314),
        ({"model_type": "mobilebert"}, 24_845_570),
        ({"model_type": "mobilebert", "classifier_activation": False}, 24_582_914),
        ({"model_type": "vit", "num_labels": 1000}, 86_567_656),
    ],
)
def test_parameters_are_those_of_the_real_classes(
    config: dict[str, object], parameters: int
) -> None:
    found = facts(config)
    assert found.parameters == parameters
    assert found.weight_bytes == 4 * parameters


def test_labels_come_from_the_config() -> None:
    three = facts({"model_type": "distilbert", "id2label": {"0": "a", "1": "b", "2": "c"}})
    assert three.parameters == 66_955_010 + 769


def test_the_linear_layers_of_distilbert_at_128_tokens() -> None:
    linear = 6 * 128 * (4 * 768 * 768 + 2 * 768 * 3072)
    attention = 6 * 2 * 128 * 128 * 768
    heads = 768 * 768 + 768 * 2
    assert macs(facts({"model_type": "distilbert"})) == linear + attention + heads
    assert 2 * linear == pytest.approx(10.9e9, rel=0.01)


def test_mobilebert_has_its_published_cost() -> None:
    """5.7 billion multiply-adds at 128 tokens without the embeddings: arXiv 2004.02984, table 4."""
    found = macs(facts({"model_type": "mobilebert"}))
    # Its paper counts two operations a multiply-add.
    assert 2 * found == pytest.approx(5.7e9, rel=0.1)


def test_vit_base_has_its_published_cost() -> None:
    assert macs(facts({"model_type": "vit"})) == pytest.approx(17.5e9, rel=0.02)


@pytest.mark.parametrize(("size", "tokens"), [(None, 197), (224, 197), (384, 577), (112, 50)])
def test_an_image_of_another_size_has_other_patches(size: int | None, tokens: int) -> None:
    shape = read({"model_type": "vit"})
    found = facts_of(shape, Workload(image_size=size))
    wide = next(o for o in of_kind(found, "gemm") if o.weights == 768 * 3072)
    assert wide.macs == tokens * 768 * 3072
    patches = of_kind(found, "conv")[0]
    assert patches.macs == pytest.approx((tokens - 1) * 768 * 768)
    assert found.parameters == shape.parameters
    assert found.length is None


@pytest.mark.parametrize(
    ("workload", "length", "counted"),
    [
        (Workload(length=64), 30, 64),
        (Workload(), 30, 30),
        (Workload(), None, 128),
        (Workload(length=4096), None, 512),
    ],
)
def test_the_length_that_is_counted(workload: Workload, length: int | None, counted: int) -> None:
    found = facts({"model_type": "distilbert"}, workload, length)
    assert found.length == counted
    assert f"{counted} tokens, with unfused attention" in found.basis


def test_a_convolution_net_is_its_operators() -> None:
    conv = Operation(kind="conv3x3", macs=1e6, weights=900, activations=5e3, count=7)
    fully = Operation(kind="gemm", macs=1e4, weights=1e4, activations=300)
    net = architecture(
        operations=(conv, fully), activations=4_000, image_size=200, parameters=16_300
    )
    one, four = (facts_of(net, Workload(batch=b, image_size=s)) for b, s in ((1, 200), (4, 400)))
    assert macs(one) == 7e6 + 1e4
    assert (macs(four), weights(four)) == (4 * (4 * 7e6 + 1e4), weights(one))
    assert one.peak_activation_bytes == 16_000
    assert four.peak_activation_bytes == 16 * 16_000


def test_a_prompt_makes_the_logits_of_its_last_token_only() -> None:
    shape = architecture(DECODER, vocabulary=10_000)
    found = prefill_facts(shape, batch=2, prompt=50)
    head = next(o for o in found.operations if o.weights == 64 * 10_000)
    assert head.macs == 2 * 64 * 10_000
    assert found.length == 50


def test_llama_7b_does_two_operations_a_parameter_and_token() -> None:
    shape = read_architecture(LLAMA)
    assert shape.parameters == 6_738_415_616
    found = decode_facts(shape, batch=1, context=1)
    passed = shape.parameters - 32_000 * 4_096
    assert macs(found) == pytest.approx(passed, rel=0.001)
    # A cache of 0.5 MiB a token in half precision.
    longer = decode_facts(shape, batch=1, context=1_001)
    assert activations(longer) - activations(found) == 1_000 * 2**18


def test_a_tied_head_is_read_as_well() -> None:
    tied = architecture(DECODER, tied=True, vocabulary=5_000)
    apart = architecture(DECODER, tied=False, vocabulary=5_000)
    assert weights(decode_facts(tied, batch=1, context=9)) == weights(
        decode_facts(apart, batch=1, context=9)
    )


def test_an_encoder_reads_and_its_decoder_starts() -> None:
    shape = architecture(ENCODER, changed(DECODER, cross=True, kv_heads=8), vocabulary=0)
    first = prefill_facts(shape, batch=1, prompt=40)
    alone = prefill_facts(architecture(ENCODER, vocabulary=0), batch=1, prompt=40)
    across = 3 * (40 * 2 * 64 * 64 + 2 * 64 * 64 + 2 * 40 * 64)
    layer = 3 * (4 * 64 * 64 + 3 * 64 * 192 + 2 * 64)
    assert macs(first) - macs(alone) == across + layer
    later = decode_facts(shape, batch=1, context=40)
    assert macs(later) < macs(first)
    assert later.length == 40


def test_sound_is_as_long_as_the_encoder_says() -> None:
    audio = changed(ENCODER, name="audio", tokens=1_500)
    shape = architecture(audio, changed(DECODER, cross=True))
    found = facts_of(shape, Workload(), 10)
    assert found.length is None
    assert any(o.macs == 1_500 * 64 * 256 for o in found.operations)
    # One more token looks across at all of the sound, however short the text.
    near, far = (decode_facts(shape, batch=1, context=c) for c in (2, 3))
    assert macs(far) - macs(near) == 3 * 2 * 64


def test_both_sides_of_a_pair_run() -> None:
    pair = architecture(VISION, changed(ENCODER, name="text"))
    found = facts_of(pair, Workload(length=20))
    rows = {o.macs / (64 * 256) for o in found.operations if o.weights == 64 * 256}
    assert rows == {17, 20}
    assert found.length == 20


@pytest.mark.parametrize("batch", [0, -1])
def test_a_request_of_nothing_is_refused(batch: int) -> None:
    shape = architecture(DECODER)
    with pytest.raises(UsageError, match="at least one"):
        prefill_facts(shape, batch=batch, prompt=5)
    with pytest.raises(UsageError, match="at least one"):
        decode_facts(shape, batch=1, context=batch)


def test_an_encoder_makes_no_tokens() -> None:
    with pytest.raises(UsageError, match="no tokens one by one"):
        decode_facts(architecture(ENCODER), batch=1, context=5)


def test_four_hundred_layers_take_no_time() -> None:
    shape = architecture(changed(DECODER, layers=400, hidden=8192))
    start = time.process_time_ns()
    found = prefill_facts(shape, batch=1, prompt=4_096)
    assert time.process_time_ns() - start < 20e6
    assert len(found.operations) < 20


stacks = st.builds(
    Stack,
    name=st.just("decoder"),
    layers=st.integers(1, 100),
    hidden=st.integers(1, 1_000),
    heads=st.integers(1, 64),
    kv_heads=st.integers(1, 64),
    head_dim=st.integers(1, 128),
    ffn=st.integers(1, 4_000),
    gated=st.booleans(),
    causal=st.booleans(),
    window=st.one_of(st.none(), st.integers(1, 5_000)),
    window_layers=st.integers(0, 100),
)


@settings(deadline=None)
@given(stack=stacks, batch=st.integers(1, 64), length=st.integers(1, 3_000))
def test_work_is_linear_in_the_batch(stack: Stack, batch: int, length: int) -> None:
    shape = architecture(stack, activations=7)
    one, many = (facts_of(shape, Workload(batch=b), length) for b in (1, batch))
    assert macs(many) == batch * macs(one)
    assert activations(many) == batch * activations(one)
    assert weights(many) == weights(one)
    assert many.peak_activation_bytes == batch * one.peak_activation_bytes


@settings(deadline=None)
@given(stack=stacks, batch=st.integers(1, 512), context=st.integers(1, 10_000))
def test_a_dense_model_reads_the_same_weights_whatever_the_batch(
    stack: Stack, batch: int, context: int
) -> None:
    shape = architecture(changed(stack, causal=True))
    one, many = (decode_facts(shape, batch=b, context=c) for b, c in ((1, 1), (batch, context)))
    assert weights(one) == weights(many)
    assert many.peak_activation_bytes == batch * one.peak_activation_bytes


@given(stack=stacks, prompt=st.integers(2, 3_000))
@settings(max_examples=50, deadline=None)
def test_a_prompt_is_its_tokens_one_by_one(stack: Stack, prompt: int) -> None:
    """The products with weights n times, and each position's keys; logits once."""
    shape = architecture(changed(stack, causal=True), vocabulary=0)
    first = macs(decode_facts(shape, batch=1, context=1))
    attention = 2 * stack.layers * stack.heads * stack.head_dim
    linear = first - attention
    found = macs(prefill_facts(shape, batch=1, prompt=prompt))
    assert prompt * linear < found <= prompt * linear + attention * prompt * (prompt + 1) / 2
    if prompt <= 12:
        steps = sum(macs(decode_facts(shape, batch=1, context=c)) for c in range(1, prompt + 1))
        assert found == steps
