"""Where nothing fits: sentences whose numbers hold when they are tried."""

import re

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.counts import parse_count
from deployopt.core.request import FitRequest
from deployopt.core.standing import Standing
from deployopt.planning.by_hand import typical_architecture
from deployopt.planning.fitting import fit_inference
from deployopt.planning.targets import load_target
from deployopt.planning.usable import shown_need
from tests.fakes.transformers_shapes import llama

CARD = load_target("rtx3060")


def give_up(**options: object) -> tuple[str, ...]:
    request = msgspec.structs.replace(FitRequest(model="x", target=CARD), **options)
    return fit_inference(request, "x", llama()).give_up


def test_a_smaller_batch_is_worked_out_and_fits() -> None:
    asked = (Precision.INT4,)
    sentence = next(s for s in give_up(batch=64, precisions=asked) if s.startswith("Batch"))
    batch = int(re.findall(r"\d+", sentence)[0])
    again = FitRequest(model="x", target=CARD, batch=batch, precisions=asked)
    fit = fit_inference(again, "x", llama())
    assert fit.best == 0
    assert fit.uses[0].largest_batch == batch


def test_a_shorter_context_is_worked_out_and_fits() -> None:
    asked = (Precision.INT8,)
    sentence = next(s for s in give_up(context=4096, precisions=asked) if "context" in s)
    context = int(re.findall(r"[\d,]+", sentence)[0].replace(",", ""))
    again = FitRequest(model="x", target=CARD, context=context, precisions=asked)
    assert fit_inference(again, "x", llama()).best == 0


def test_a_lower_precision_and_other_targets_are_named() -> None:
    found = give_up(precisions=(Precision.FP16,))
    assert any(re.fullmatch(r"int8 instead: it needs 7.* GiB\.", s) for s in found)
    assert any("Target l4" in s and "fp16" in s for s in found)


def test_the_processor_beside_a_card_is_the_last_step_down() -> None:
    (said,) = [s for s in give_up(context=100_000) if s.startswith("The processor beside the card")]
    host = FitRequest(model="x", target=load_target("x86-cpu"), context=100_000)
    need = next(
        u.need.total for u in fit_inference(host, "x", llama()).uses if u.precision == "int4"
    )
    assert f"int4 needs {shown_need(need)} of main memory" in said


@pytest.mark.parametrize("target", ["rpi4-2gb", "jetson-orin-nano"])
def test_without_a_card_of_its_own_memory_there_is_none_beside_it(target: str) -> None:
    fp32 = (Precision.FP32,)
    request = FitRequest(model="x", target=load_target(target), precisions=fp32)
    found = fit_inference(request, "x", llama()).give_up
    assert found
    assert not any("beside the card" in s for s in found)


@pytest.mark.parametrize("target", ["rpi4", "rpi4-2gb"])
def test_a_smaller_model_is_named(target: str) -> None:
    request = FitRequest(model="x", target=load_target(target))
    found = fit_inference(request, "x", llama()).give_up
    named = [s for s in found if s.startswith("A model of the usual shape with about ")]
    assert len(named) == 1
    count, _, precision = named[0].removesuffix(".").partition(" parameters, in ")
    size = parse_count(count.removeprefix("A model of the usual shape with about "), "size")
    again = fit_inference(
        FitRequest(model="x", target=load_target(target), precisions=(Precision(precision),)),
        "x",
        typical_architecture(size),
    )
    assert [use.standing for use in again.uses] == [Standing.INSIDE]
