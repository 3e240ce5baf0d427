"""From the model's own precision down to what a card holds, in words with numbers."""

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.pipeline.language.walking import native_precision, walked
from deployopt.planning.targets import load_target
from tests.fakes.transformers_shapes import llama


@pytest.mark.parametrize(
    ("dtype", "precision"),
    [("bfloat16", Precision.BF16), ("float16", Precision.FP16), (None, Precision.FP32)],
)
def test_what_it_came_in(dtype: str | None, precision: Precision) -> None:
    shape = msgspec.structs.replace(llama(), dtype=dtype)
    assert native_precision(shape) is precision


def test_steps_that_are_not_made_are_told_and_the_first_that_is_ends_it() -> None:
    shape = msgspec.structs.replace(llama(), dtype="bfloat16")
    said = walked(load_target("a100"), shape, 2048)
    assert said.startswith("it came in bf16; with 2,048 tokens, of the 38.5 GiB usable on a100, ")
    assert "bf16 needs" in said
    assert "no bf16 products on a CPU" in said
    assert said.endswith("and fits")
    assert "fp32" not in said
    assert "int8" not in said


def test_a_card_that_is_too_small_is_walked_down_to_fewer_bits() -> None:
    shape = msgspec.structs.replace(llama(), dtype="float16")
    target = load_target("rtx3060")
    hardware = msgspec.structs.replace(target.hardware, memory_usable=10 * 2**30)
    said = walked(msgspec.structs.replace(target, hardware=hardware), shape, 2048)
    steps = said.split("; ")
    assert [step.split(" needs ")[0].split(", ")[-1] for step in steps[1:]] == [
        "fp16",
        "int8",
        "int4",
    ][: len(steps) - 1]
    assert "does not fit" in steps[1]
    assert steps[-1].split(" (")[0].endswith("and fits")


def test_of_several_cards_one_counts() -> None:
    shape = msgspec.structs.replace(llama(), dtype="float16")
    assert "of the 38.5 GiB usable on a100x4" in walked(load_target("a100x4"), shape, 2048)
