"""Training: exact parts, and what is more than what."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.catalogue.models import find_entry
from deployopt.core.artifact import Precision
from deployopt.core.memory import Method, Optimizer, Sharding, Training
from deployopt.planning.entries import architecture_of
from deployopt.planning.memory import training_need
from deployopt.planning.memory.training import Details, trained_parameters, training_parts
from deployopt.planning.targets import load_target
from tests.fakes.transformers_shapes import decoder, encoder, llama

CARD = load_target("rtx3060")
WAYS = st.builds(
    Training,
    method=st.sampled_from(Method),
    precision=st.sampled_from((Precision.FP32, Precision.BF16)),
    pure=st.booleans(),
    optimizer=st.sampled_from(Optimizer),
    batch=st.integers(1, 64),
    length=st.integers(1, 4096),
    checkpointing=st.booleans(),
    flash=st.booleans(),
    rank=st.integers(1, 128),
)


def parts_of(training: Training, details: Details | None = None) -> dict[str, float]:
    found = training_parts(decoder(), training, details or Details())
    return {part.name: part.bytes for part in found}


def total(training: Training) -> float:
    return training_need(llama(), training, target=CARD).total.value


def test_full_training_by_hand() -> None:
    found = parts_of(Training(length=10, batch=2))
    assert found["weights"] == 2 * 2752
    assert found["master weights"] == found["gradients"] == 4 * 2752
    assert found["optimizer"] == 8 * 2752
    assert found["logits"] == 20 * 100 * 10
    held = found["activations"] + found["logits"]
    assert found["optimizer step"] == pytest.approx(max(0, 4 * 2752 - held))


def test_qlora_by_hand() -> None:
    found = parts_of(Training(method=Method.QLORA, rank=1, length=1))
    assert found["weights"] == pytest.approx(1152 * 4.127 / 8)
    assert found["embeddings and head"] == 3200
    assert found["adapter"] == found["gradients"] == 4 * 256
    assert found["optimizer"] == 8 * 256


def test_tables_that_lora_trains_are_copied() -> None:
    plain = parts_of(Training(method=Method.LORA))
    trained = parts_of(Training(method=Method.LORA), Details(trained_tables=True))
    more = sum(trained[name] - plain[name] for name in ("adapter", "gradients", "optimizer"))
    assert more == 12 * 1600


def test_gradients_that_are_applied_as_they_come_are_not_held() -> None:
    found = parts_of(Training(), Details(fused_backward=True, foreign_states=True))
    assert found["gradients"] == found["optimizer"] == found["optimizer step"] == 0


def test_a_frozen_share_is_not_trained() -> None:
    training = Training(method=Method.FREEZE, trained_share=0.5)
    assert trained_parameters(decoder(), training) == 1152 // 2 + 800


def test_a_classifier_has_no_scores_over_words() -> None:
    found = {part.name: part.bytes for part in training_parts(encoder(), Training())}
    assert found["logits"] == 0


@given(way=WAYS)
def test_parts_add_up_within_the_band(way: Training) -> None:
    need = training_need(llama(), way, target=CARD)
    assert sum(part.bytes for part in need.parts) == pytest.approx(need.total.value)
    assert 0 < need.total.lower < need.total.value < need.total.upper


@given(way=WAYS)
def test_more_needs_more(way: Training) -> None:
    here = total(way)
    assert here <= total(msgspec.structs.replace(way, batch=way.batch + 1))
    assert here <= total(msgspec.structs.replace(way, length=way.length + 1))
    assert here <= total(msgspec.structs.replace(way, rank=way.rank + 1))
    assert total(msgspec.structs.replace(way, checkpointing=True)) <= total(
        msgspec.structs.replace(way, checkpointing=False)
    )
    assert total(msgspec.structs.replace(way, flash=True)) <= total(
        msgspec.structs.replace(way, flash=False)
    )


@given(way=WAYS, devices=st.integers(2, 64))
def test_sharding_more_never_needs_more(way: Training, devices: int) -> None:
    values = [
        total(msgspec.structs.replace(way, devices=devices, sharding=sharding))
        for sharding in (Sharding.FSDP, Sharding.DDP)
    ]
    assert values == sorted(values)
    alone = total(msgspec.structs.replace(way, devices=1, sharding=Sharding.NONE))
    assert alone <= values[1]


@given(batch=st.integers(1, 16), length=st.integers(1, 4096))
def test_qlora_is_leaner_than_lora_and_lora_than_full(batch: int, length: int) -> None:
    values = [
        total(Training(method=method, batch=batch, length=length, checkpointing=True))
        for method in (Method.QLORA, Method.LORA, Method.FULL)
    ]
    assert values == sorted(values)
    assert values[0] < values[1] < values[2]


def test_a_base_that_peft_prepared_by_hand() -> None:
    way = Training(method=Method.QLORA, rank=1, length=10)
    cast, prepared = (parts_of(way, Details(prepared=p)) for p in (False, True))
    assert prepared["embeddings and head"] == 2 * cast["embeddings and head"] == 6400
    assert prepared["activations"] == 2 * cast["activations"]
    assert prepared["logits"] == 10 * 100 * 12
    assert prepared["weights"] == cast["weights"]
    assert prepared["preparing"] == 0


def test_the_band_of_qlora_holds_both_ways_of_preparing() -> None:
    way = Training(method=Method.QLORA, length=4096, checkpointing=True)
    need = training_need(llama(), way, target=CARD)
    parts = training_parts(llama(), way, Details(prepared=True))
    assert sum(part.bytes for part in parts) + 0.9e9 < need.total.upper
    assert need.total.upper - need.total.value > 1.5 * (need.total.value - need.total.lower)


@pytest.mark.parametrize("length", [512, 1024, 2048])
def test_llama_2_is_trained_by_qlora_in_11_gib(length: int) -> None:
    way = Training(method=Method.QLORA, length=length, checkpointing=True)
    assert training_need(llama(), way, target=CARD).total.upper < 11 * 2**30


@pytest.mark.parametrize(
    ("method", "measured_gib"), [(Method.FULL, 1.42), (Method.FREEZE, 0.944), (Method.LORA, 1.66)]
)
def test_a_cpu_keeps_more_as_it_was_measured(method: Method, measured_gib: float) -> None:
    """`finetune` of the embedded model's base on a CPU: batch 32, about 48 tokens, fp32."""
    shape = architecture_of(find_entry("demo-sentiment"))
    training = Training(method=method, precision=Precision.FP32, batch=32, length=48)
    need = training_need(shape, training, target=load_target("x86-cpu")).total
    assert need.lower < measured_gib * 2**30 < need.upper
    assert need.value == pytest.approx(measured_gib * 2**30, rel=0.2)
