"""Convolution nets that learn from a wider one: answers and stage outputs, images as pixels."""

from typing import Any

import pytest

from deployopt.core.distill_result import Lessons
from deployopt.core.errors import StepError
from tests.fakes import convnets

pytestmark = pytest.mark.torch


def silent(share: float, words: str) -> None:
    pass


def narrowed(teacher: Any, share: float = 0.5) -> Any:
    from deployopt.modeling.pruning.channels import narrow

    return narrow(teacher, share, [], checked=[convnets.batch(1)]).model


def teach(student: Any, teacher: Any, count: int = 97, **options: Any) -> Lessons:
    """97 images in batches of 16: the last one has one image, which no variance comes of."""
    from deployopt.modeling.distilling.loop import Material, distil
    from deployopt.modeling.distilling.options import DistilOptions

    material = Material(
        interface=convnets.interface(),
        train=convnets.pixels(count, seed=1),
        labels=(-1,) * count,
        validation=convnets.pixels(48, seed=2),
    )
    chosen = DistilOptions(**({"epochs": 3, "learning_rate": 3e-3, "batch": 16} | options))
    return distil(student, teacher, material, chosen, silent)


@pytest.fixture(scope="module")
def teacher() -> Any:
    return convnets.convnet("resnet-basic", seed=3)


def test_a_narrower_net_learns_again(teacher: Any) -> None:
    lessons = teach(narrowed(teacher), teacher)
    first, last = lessons.epochs[0], lessons.epochs[lessons.best_epoch]
    assert lessons.best_epoch > 0
    assert last.divergence < 0.5 * first.divergence
    assert lessons.layer_map == ()


def test_stages_of_one_size_answer_for_each_other(teacher: Any) -> None:
    import torch

    from deployopt.modeling.distilling.options import DistilOptions
    from deployopt.modeling.distilling.parts import parts_of

    student = narrowed(teacher)
    images = torch.from_numpy(convnets.batch(1)["pixel_values"])
    example = {"pixel_values": images}
    interface = convnets.interface()
    parts = parts_of(student, teacher, interface, DistilOptions(), example)
    assert parts.widths == ((16, 32), (32, 64))
    stages = student.resnet.encoder.stages
    assert list(parts.student.values()) == [stages[0], stages[1]]
    mobile = convnets.convnet("mobilenet_v2")
    across = parts_of(student, mobile, interface, DistilOptions(), example)
    assert across.widths == ((16, 16), (32, 16))
    assert (
        parts_of(student, mobile, interface, DistilOptions(hidden_weight=0), example).widths == ()
    )
    with pytest.raises(StepError, match="relation_weight=0"):
        parts_of(student, mobile, interface, DistilOptions(relation_weight=1), example)


def test_any_classifier_learns_from_the_answers(teacher: Any) -> None:
    import transformers

    config = transformers.LevitConfig(
        image_size=convnets.SIDE, hidden_sizes=[16, 16, 16], num_attention_heads=[2, 2, 2],
        depths=[1, 1, 1], key_dim=[8, 8, 8], num_labels=3,
    )  # fmt: skip
    lessons = teach(transformers.LevitForImageClassification(config), teacher, epochs=1)
    assert lessons.steps == 6


def test_pixels_are_normalized_as_the_device_does_it() -> None:
    import numpy as np

    from deployopt.core.interface import ImageInputs
    from deployopt.device.images import image_input, image_pixels
    from deployopt.modeling.pixels import batch_of

    random = np.random.default_rng(0)
    inputs = convnets.interface().inputs
    assert isinstance(inputs, ImageInputs)
    images = [random.integers(0, 256, (40, 50, 3), dtype=np.uint8) for _ in range(2)]
    feeds = [{"pixel_values": image_pixels(image, inputs)[None]} for image in images]
    wanted = np.stack([image_input(image, inputs) for image in images])
    assert feeds[0]["pixel_values"].dtype == np.uint8
    found = batch_of(feeds, convnets.interface())["pixel_values"]
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
