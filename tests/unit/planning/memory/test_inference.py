"""Inference on a target: parts that add up, in agreement with what `build` says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.catalogue.models import find_entry
from deployopt.core.artifact import Precision
from deployopt.core.memory import MemoryNeed
from deployopt.core.target import Target
from deployopt.core.workload import Workload
from deployopt.planning.entries import architecture_of
from deployopt.planning.memory import graph_need, inference_need
from deployopt.planning.operations import facts_of
from deployopt.planning.targets import load_target
from tests.fakes.transformers_shapes import encoder, llama

CARD = load_target("rtx3060")
BOARD = load_target("rpi4")
FEWER_BITS = (Precision.FP32, Precision.FP16, Precision.INT8, Precision.NF4, Precision.INT4)


def need(precision: Precision, batch: int = 1, context: int = 2048, devices: int = 1) -> MemoryNeed:
    return inference_need(
        llama(), target=CARD, precision=precision, batch=batch, context=context, devices=devices
    )


def test_llama_2_in_half_precision_by_hand() -> None:
    found = {part.name: part.bytes for part in need(Precision.FP16).parts}
    assert found == {
        "weights": 2 * 6_738_415_616,
        "KV cache": 2048 * 524_288,
        "activations": 2048 * (4 * 4096 + 3 * 11008) * 2,
        "logits": 6 * 32000,
        "runtime": 0.9e9,
    }


def test_full_precision_doubles_the_cache() -> None:
    half, full = ({p.name: p.bytes for p in need(x).parts} for x in FEWER_BITS[1::-1])
    assert full["KV cache"] == 2 * half["KV cache"]


@given(
    precision=st.sampled_from(FEWER_BITS),
    batch=st.integers(1, 64),
    context=st.integers(1, 4096),
)
def test_parts_add_up_within_the_band(precision: Precision, batch: int, context: int) -> None:
    found = need(precision, batch, context)
    total = found.total
    assert sum(part.bytes for part in found.parts) == pytest.approx(total.value)
    assert 0 < total.lower < total.value < total.upper
    assert total.coverage == 0.9


@given(batch=st.integers(1, 64), context=st.integers(1, 4096))
def test_more_work_needs_more_and_fewer_bits_need_less(batch: int, context: int) -> None:
    here = need(Precision.FP16, batch, context).total.value
    assert here < need(Precision.FP16, batch + 1, context).total.value
    assert here < need(Precision.FP16, batch, context + 1).total.value
    values = [need(precision, batch, context).total.value for precision in FEWER_BITS]
    assert values == sorted(values, reverse=True)


def test_weights_bound_the_band_from_below() -> None:
    assert need(Precision.FP16).total.lower > 0.9 * 2 * 6_738_415_616


def test_a_split_copy_shares_weights_and_heads() -> None:
    whole, half = ({p.name: p.bytes for p in need(Precision.FP16, devices=n).parts} for n in (1, 2))
    assert half["weights"] == whole["weights"] / 2
    assert half["KV cache"] == whole["KV cache"] / 2
    assert half["runtime"] == whole["runtime"]


@pytest.mark.parametrize("place", [CARD, BOARD], ids=lambda target: target.name)
@pytest.mark.parametrize("alias", ["distilbert", "bert-base", "vit-base", "resnet-50"])
def test_a_shape_and_its_facts_agree(place: Target, alias: str) -> None:
    shape = architecture_of(find_entry(alias))
    facts = facts_of(shape, Workload(), 128)
    ours = inference_need(shape, target=place, precision=Precision.FP32, batch=1, context=128)
    theirs = graph_need(place, facts, Precision.FP32)
    assert ours.total.value == pytest.approx(theirs.total.value, rel=0.05)


def test_a_process_reads_its_weights_and_packs_them() -> None:
    found = inference_need(encoder(), target=BOARD, precision=Precision.FP32, batch=1, context=None)
    parts = {part.name: part.bytes for part in found.parts}
    assert parts["weights"] + parts["loading"] == pytest.approx(1.27 * 4000)
    assert parts["runtime"] == 80 * 2**20


def test_a_decoder_on_a_board_maps_its_file() -> None:
    found = inference_need(llama(), target=BOARD, precision=Precision.INT4, batch=1, context=512)
    assert {part.name for part in found.parts} >= {"weights", "KV cache", "runtime"}
    assert found.total.value < 5.2e9
