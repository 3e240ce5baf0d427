"""What is not asked for is as `recommend` would advise, with its reason; too much is refused."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from deployopt.catalogue.models import find_entry
from deployopt.core.artifact import Precision
from deployopt.core.errors import CannotFitError, UsageError
from deployopt.core.memory import Method
from deployopt.core.tasks import ModelTask
from deployopt.core.training_request import FinetuneRequest
from deployopt.pipeline.training_options import (
    Settled,
    Site,
    Subject,
    settle_options,
    usual_length,
)
from deployopt.planning.entries import architecture_of
from deployopt.planning.targets import load_target

CPU = Site(gpu=False, bf16=False, processes=1)
GPU = Site(gpu=True, bf16=True, processes=1)


def settled(
    alias: str = "demo-sentiment",
    examples: int = 2_000,
    *,
    target: str = "x86-cpu",
    site: Site = CPU,
    task: ModelTask = ModelTask.TEXT_CLASSIFICATION,
    length_max: int = 512,
    model_type: str = "bert",
    **asked: Any,
) -> Settled:
    request = FinetuneRequest(model=alias, data="data.csv", output=Path("out"), **asked)
    architecture = architecture_of(find_entry(alias))
    assert architecture is not None
    subject = Subject(
        name=alias,
        architecture=architecture,
        task=task,
        examples=examples,
        lengths=[20] * 990 + [45] * 10,
        length_max=length_max,
        model_type=model_type,
    )
    return settle_options(request, subject, load_target(target), site)


def test_enough_examples_train_everything_and_few_the_upper_layers() -> None:
    many, few = settled(examples=2_000), settled(examples=400)
    assert many.options.method is Method.FULL
    assert "reach the 1" in many.reason
    assert few.options.method is Method.FREEZE
    assert "are below the 1" in few.reason
    assert few.options.epochs > many.options.epochs
    assert many.options.learning_rate == 5e-5


def test_what_was_asked_for_stands() -> None:
    found = settled(method=Method.LORA, rank=4, epochs=7, learning_rate=1e-3, seed=5, augment=True)
    assert found.reason == "as asked for"
    options = found.options
    assert (options.method, options.rank, options.epochs) == (Method.LORA, 4, 7)
    assert (options.learning_rate, options.seed, options.augment) == (1e-3, 5, True)


def test_a_smaller_batch_is_accumulated_to_the_same_update() -> None:
    usual, small = settled().options, settled(batch=4).options
    two = settled(batch=4, site=msgspec.structs.replace(CPU, processes=2)).options
    assert usual.batch * usual.accumulation == 32
    assert small.batch * small.accumulation == 32
    assert two.batch * two.accumulation * 2 == 32
    assert settled(batch=4, accumulation=1).options.accumulation == 1


def test_cpus_train_in_fp32_and_gpus_that_gain_in_bf16() -> None:
    assert settled().options.precision is Precision.FP32
    assert settled(target="rtx3060", site=GPU).options.precision is Precision.BF16
    assert settled(precision=Precision.BF16).options.precision is Precision.BF16


def test_a_longer_batch_takes_more_memory_and_the_need_has_its_band() -> None:
    short, long = settled(length=16), settled(length=256)
    assert short.need.total.value < long.need.total.value
    assert short.need.total.lower < short.need.total.value < short.need.total.upper


def test_what_surely_does_not_fit_is_refused_with_a_way_out() -> None:
    with pytest.raises(CannotFitError, match=r"--method lora.*nothing was started"):
        settled("bert-large", target="rpi4", method=Method.FULL, batch=512, length=512)


def test_adapters_are_not_advised_for_convolution_nets() -> None:
    found = settled(
        "resnet-50", examples=500, target="rtx3060", site=GPU, task=ModelTask.IMAGE_CLASSIFICATION
    )
    assert found.options.method is Method.FREEZE


def test_a_wrong_option_is_refused_before_any_work() -> None:
    with pytest.raises(UsageError, match="--epochs is 0"):
        settled(epochs=0)


@pytest.mark.parametrize(
    ("lengths", "most", "found"),
    [([20] * 990 + [400] * 10, 512, 24), ([20] * 900 + [400] * 100, 512, 400),
     ([900] * 10, 512, 512), ([900] * 10, 4_096, 512), ([5], 48, 8)],
)  # fmt: skip
def test_the_length_holds_nearly_every_text(lengths: list[int], most: int, found: int) -> None:
    assert usual_length(lengths, most) == found


def test_a_prefix_takes_the_first_positions() -> None:
    found = settled(method=Method.PREFIX, rank=8, length_max=40)
    assert found.options.length == 24
    assert settled(method=Method.PREFIX, rank=8, length_max=40, length=500).options.length == 32
    assert found.options.learning_rate == 5e-3
    assert found.need.total.value < settled(method=Method.FULL, length_max=40).need.total.value


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"model_type": "distilbert"}, "'distilbert'. Use --method lora"),
        ({"rank": 510}, "Give a smaller --rank"),
    ],
)
def test_a_prefix_that_cannot_be_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        settled(method=Method.PREFIX, **asked)


def test_what_does_not_fit_is_never_told_to_add_what_it_has_no_place_for() -> None:
    tight: dict[str, Any] = {"target": "rpi4", "batch": 4_000, "checkpointing": False}
    with pytest.raises(CannotFitError, match="--method lora"):
        settled("bert-base", method=Method.FULL, **tight)
    images = ModelTask.IMAGE_CLASSIFICATION
    with pytest.raises(CannotFitError, match="--method freeze") as caught:
        settled("resnet-50", method=Method.FULL, task=images, **tight)
    assert "lora" not in str(caught.value)
