"""An arrangement is the one that computed memory allows."""

from deployopt.catalogue.models import find_entry
from deployopt.core.memory import Method
from deployopt.core.standing import Standing
from deployopt.planning.entries import architecture_of
from deployopt.planning.memory import training_need
from deployopt.planning.recommending.ways import Asked, way_for
from deployopt.planning.targets import load_target


def test_the_need_is_of_the_rank_that_was_asked_for() -> None:
    shape, target = architecture_of(find_entry("qwen2.5-1.5b")), load_target("rtx3060")
    asked = Asked(method=Method.LORA, length=512, batch=64, rank=64)
    way = way_for(shape, target, asked)
    assert way.training.rank == 64
    assert way.need == training_need(shape, way.training, target=target)
    assert way.standing is Standing.INSIDE
    assert way.training.batch <= 64


def test_what_does_not_fit_is_outside() -> None:
    shape, target = architecture_of(find_entry("llama-2-70b")), load_target("rtx3060")
    way = way_for(shape, target, Asked(method=Method.FULL, length=512, batch=64, rank=16))
    assert way.standing is Standing.OUTSIDE


def test_the_batch_is_shared_by_the_devices() -> None:
    shape, target = architecture_of(find_entry("bert-base")), load_target("a100x4")
    way = way_for(shape, target, Asked(method=Method.FULL, length=128, batch=32, rank=16))
    assert way.training.devices == 4
    assert way.training.batch == 8


def test_a_higher_rank_costs_batch_before_it_costs_the_method() -> None:
    """At rank 64 the batch that was found for the usual rank may no longer surely fit."""
    shape, target = architecture_of(find_entry("qwen2.5-7b")), load_target("h100")
    way = way_for(shape, target, Asked(method=Method.LORA, length=768, batch=64, rank=64))
    assert way.standing is Standing.INSIDE
    assert way.need.total.upper <= way.available_bytes
