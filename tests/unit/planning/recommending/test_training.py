"""How and where to fine-tune, from memory that was computed."""

from collections.abc import Callable

import pytest

from deployopt.catalogue.models import find_entry
from deployopt.core.memory import Method, Sharding
from deployopt.core.standing import Standing
from deployopt.core.tasks import ModelTask
from deployopt.planning.cost import read_prices
from deployopt.planning.recommending.candidate import Candidate
from deployopt.planning.recommending.looking import look
from deployopt.planning.recommending.training import Plan, advice_for, methods, plan_for
from deployopt.planning.recommending.wants import Wants

Ask = Callable[..., Wants]


def planned(alias: str, wants: Wants) -> tuple[Candidate, Plan]:
    candidate = look(find_entry(alias), wants, None)
    plan = plan_for(candidate, wants, read_prices(None))
    assert plan is not None
    return candidate, plan


def test_few_examples_train_few_parameters() -> None:
    text = ModelTask.TEXT_CLASSIFICATION
    assert methods(text, 300)[0] is Method.FREEZE
    assert methods(text, 3_000)[0] is Method.FULL
    assert methods(ModelTask.TEXT_GENERATION, 3_000) == (Method.LORA, Method.QLORA)
    assert methods(ModelTask.TEXT_TO_IMAGE, 3_000) == (Method.LORA,)
    assert methods(ModelTask.TEXT_TO_IMAGE, 2_000_000)[0] is Method.FULL


def test_a_board_trains_elsewhere_and_a_card_trains_itself(wants: Ask) -> None:
    _, plan = planned("distilbert", wants(examples=8_000))
    assert plan.target.hardware.gpu is not None
    assert plan.cost is not None
    _, own = planned("distilbert", wants(target="rtx3060", examples=8_000))
    assert own.target.name == "rtx3060"
    assert own.way.training.method is Method.FULL


def test_a_cpu_that_would_take_over_a_day_trains_elsewhere(wants: Ask) -> None:
    _, few = planned("distilbert", wants(target="x86-cpu", examples=500))
    _, many = planned("distilbert", wants(target="x86-cpu", examples=3_000_000))
    assert few.target.name == "x86-cpu"
    assert many.target.name != "x86-cpu"


def test_what_does_not_fit_whole_is_adapted_in_4_bits(wants: Ask) -> None:
    asked = wants(ModelTask.TEXT_GENERATION, "rtx3060", examples=8_000)
    _, plan = planned("llama-2-7b", asked)
    assert plan.target.name == "rtx3060"
    assert plan.way.training.method is Method.QLORA
    assert plan.way.standing is Standing.INSIDE
    assert [way.training.method for way in plan.dropped] == [Method.LORA]
    assert all(way.standing is not Standing.INSIDE for way in plan.dropped)


def test_no_more_is_given_up_than_has_to_be(wants: Ask) -> None:
    """On 80 GB adapters over the whole base surely fit at some batch, so 4 bits are not needed."""
    asked = wants(ModelTask.TEXT_GENERATION, "rtx3060", examples=200_000)
    _, plan = planned("qwen2.5-7b", asked)
    assert plan.target.name == "h100"
    assert plan.way.training.method is Method.LORA
    assert [way.training.method for way in plan.dropped] == [Method.FULL]


def test_several_gpus_share_what_fits_one_and_shard_what_does_not(wants: Ask) -> None:
    asked = wants(ModelTask.TEXT_GENERATION, "a100x4", examples=200_000)
    _, small = planned("qwen2.5-0.5b", asked)
    assert small.way.training.sharding is Sharding.DDP
    _, large = planned("qwen2.5-7b", asked)
    assert large.way.training.method is Method.FULL
    assert large.way.training.sharding is Sharding.FSDP


def test_the_advice_reaches_the_effective_batch(wants: Ask) -> None:
    asked = wants(ModelTask.TEXT_GENERATION, "rtx3060", examples=20_000)
    candidate, plan = planned("qwen2.5-1.5b", asked)
    advice = advice_for(candidate, plan, asked, None)
    together = advice.training.batch * advice.training.devices * advice.accumulation
    assert together == 64
    assert advice.early_stopping
    assert advice.commands


def test_without_examples_there_is_no_plan(wants: Ask) -> None:
    asked = wants()
    candidate = look(find_entry("distilbert"), asked, None)
    assert plan_for(candidate, asked, read_prices(None)) is None


@pytest.mark.parametrize("alias", ["demo-sentiment"])
def test_what_no_hub_has_is_not_fine_tuned(wants: Ask, alias: str) -> None:
    asked = wants(examples=8_000)
    candidate = look(find_entry(alias), asked, None)
    assert plan_for(candidate, asked, read_prices(None)) is None
