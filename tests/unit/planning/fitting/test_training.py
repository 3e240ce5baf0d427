"""Which ways of training fit, and how large."""

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.fit import Fit
from deployopt.core.memory import Method, Optimizer, Sharding
from deployopt.core.request import FitRequest
from deployopt.core.standing import Standing
from deployopt.planning.fitting import best_training, fit_training
from deployopt.planning.memory import training_need
from deployopt.planning.targets import load_target
from deployopt.planning.usable import usable_bytes
from tests.fakes.transformers_shapes import decoder, encoder, llama


def fit(target: str, **options: object) -> Fit:
    plain = FitRequest(model="x", target=load_target(target), training=True)
    return fit_training(msgspec.structs.replace(plain, **options), "x", llama())


def test_llama_2_on_a_12_gb_card_trains_by_qlora_alone() -> None:
    found = fit("rtx3060")
    ways = [
        (u.training.method, u.training.optimizer, u.training.pure) for u in found.uses if u.training
    ]
    assert ways == [
        (Method.FULL, Optimizer.ADAMW, False),
        (Method.FULL, Optimizer.ADAMW_8BIT, False),
        (Method.FULL, Optimizer.ADAMW, True),
        (Method.FREEZE, Optimizer.ADAMW, False),
        (Method.LORA, Optimizer.ADAMW, False),
        (Method.QLORA, Optimizer.ADAMW, False),
    ]
    outside, inside = Standing.OUTSIDE, Standing.INSIDE
    assert [use.standing for use in found.uses] == [outside] * 5 + [inside]
    assert found.best == 5
    use = found.uses[5]
    assert use.training is not None
    assert use.training.checkpointing
    assert use.training.precision is Precision.BF16
    assert use.largest_batch is not None
    assert use.largest_context is not None
    assert use.largest_context >= 2048


def test_several_cards_share_what_one_cannot_hold() -> None:
    found = fit("a100x4", methods=(Method.FULL, Method.QLORA))
    sharding = [use.training.sharding for use in found.uses if use.training]
    assert sharding == [Sharding.FSDP, Sharding.FSDP, Sharding.FSDP, Sharding.DDP]
    assert all(use.training and use.training.devices == 4 for use in found.uses)


def test_sharding_that_is_asked_for_is_kept() -> None:
    found = fit("a100x4", methods=(Method.LORA,), sharding=Sharding.ZERO2)
    assert found.uses[0].training is not None
    assert found.uses[0].training.sharding is Sharding.ZERO2


def test_a_board_trains_in_fp32_and_not_in_four_bits() -> None:
    found = fit("rpi4")
    assert {use.precision for use in found.uses} == {Precision.FP32}
    assert not found.uses[-1].supported


def test_a_net_without_layers_has_no_adapters() -> None:
    net = msgspec.structs.replace(encoder(), stacks=())
    request = FitRequest(model="x", target=load_target("rtx3060"), training=True)
    methods = {use.training.method for use in fit_training(request, "x", net).uses if use.training}
    assert methods == {Method.FULL, Method.FREEZE}


@pytest.mark.parametrize("target", ["rtx3060", "a100", "a100x4", "rpi5"])
@pytest.mark.parametrize("method", list(Method))
def test_the_best_training_is_the_largest_power_of_two(target: str, method: Method) -> None:
    place = load_target(target)
    training, need, standing = best_training(
        decoder(), place, method=method, length=64, batch_max=32
    )
    assert standing is Standing.INSIDE
    assert training.batch == 32
    assert need.total.upper <= usable_bytes(place)


def test_the_best_training_stops_at_the_edge() -> None:
    card = load_target("rtx3060")
    training, _, standing = best_training(llama(), card, method=Method.QLORA, length=512)
    assert standing is Standing.INSIDE
    assert training.batch < 64
    double = msgspec.structs.replace(training, batch=2 * training.batch)
    assert training_need(llama(), double, target=card).total.upper > usable_bytes(card)


def test_what_cannot_be_trained_is_the_leanest_way_and_outside() -> None:
    card = load_target("rtx3060")
    training, need, standing = best_training(llama(70), card, method=Method.FULL, length=512)
    assert standing is Standing.OUTSIDE
    assert (training.batch, training.optimizer) == (1, Optimizer.ADAMW_8BIT)
    assert training.checkpointing
    assert need.total.lower > usable_bytes(card)


def test_bf16_alone_is_said_to_lose_small_updates() -> None:
    found = fit("h100", methods=(Method.FULL,))
    mixed, small, alone = found.uses
    assert "no fp32 copy" in alone.note
    assert (mixed.note, small.note) == ("", "")
    assert alone.need.total.value < small.need.total.value < mixed.need.total.value


def test_fp16_alone_is_not_offered() -> None:
    found = fit("rtx3060", methods=(Method.FULL,), precisions=(Precision.FP16,))
    assert not any(use.training.pure for use in found.uses if use.training)


def test_the_upper_end_of_qlora_is_explained() -> None:
    assert "prepare_model_for_kbit_training" in fit("rtx3060", methods=(Method.QLORA,)).uses[0].note


def test_examples_beyond_rotary_positions_are_counted_with_a_warning() -> None:
    found = fit("a100", methods=(Method.QLORA,), context=8192)
    assert found.uses[0].context == 8192
    assert "speaks of 4,096" in found.warnings[0]
