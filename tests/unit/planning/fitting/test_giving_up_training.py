"""Where no way of training fits: which would."""

import re

import msgspec

from deployopt.core.memory import Method, Sharding, Training
from deployopt.core.request import FitRequest
from deployopt.planning.fitting import fit_training
from deployopt.planning.memory import training_need
from deployopt.planning.targets import load_target
from deployopt.planning.usable import fits_inside
from tests.fakes.transformers_shapes import llama

CARD = load_target("rtx3060")


def give_up(billions: int = 7, target: str = "rtx3060", **options: object) -> tuple[str, ...]:
    plain = FitRequest(model="x", target=load_target(target), training=True)
    request = msgspec.structs.replace(plain, **options)
    return fit_training(request, "x", llama(billions)).give_up


def test_qlora_is_named_where_full_training_was_asked_for() -> None:
    found = give_up(methods=(Method.FULL,))
    assert any(re.fullmatch(r"QLoRA: it needs .* GiB\.", sentence) for sentence in found)
    assert not any(sentence.startswith("LoRA") for sentence in found)


def test_the_cards_that_fsdp_takes_are_as_few_as_do() -> None:
    sentence = next(s for s in give_up(methods=(Method.FULL,)) if "FSDP" in s)
    cards = int(re.findall(r"over (\d+) x", sentence)[0])

    def fits(devices: int) -> bool:
        way = Training(checkpointing=True, length=2048, devices=devices, sharding=Sharding.FSDP)
        return fits_inside(training_need(llama(), way, target=CARD).total, CARD)

    assert fits(cards)
    assert not fits(cards - 1)


def test_smaller_steps_are_named_where_they_do() -> None:
    found = give_up(methods=(Method.QLORA,), batch=16, checkpointing=False, context=2048)
    assert any(sentence.startswith("Batch 1 and checkpointing") for sentence in found)


def test_there_is_always_something_to_say() -> None:
    found = give_up(70, "rpi4", methods=(Method.FULL,))
    assert found
    assert all(re.search(r"\d", sentence) for sentence in found)


def test_bf16_alone_with_8_bit_adam_is_named_where_it_does() -> None:
    found = give_up(7, "h100", methods=(Method.FULL,))
    assert any(s.startswith("Full training in bf16 alone with 8-bit Adam: it") for s in found)
