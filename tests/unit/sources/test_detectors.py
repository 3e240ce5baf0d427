"""What a detector's folder says of its boxes and its images."""

from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.interface import BoxForm
from deployopt.sources.detectors import box_form, check_detector_head, detector_inputs
from deployopt.sources.weights import Tensor

SIZE = {"size": {"height": 64, "width": 96}}


def test_each_family_has_its_form() -> None:
    yolos = box_form({"model_type": "yolos", "num_detection_tokens": 8}, "config.json")
    assert yolos == BoxForm(scores="softmax", most=8)
    assert box_form({"model_type": "detr", "num_queries": 9}, "it").most == 9
    apart = box_form({"model_type": "deformable_detr", "num_queries": 300}, "it")
    assert apart == BoxForm(scores="sigmoid", most=100)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "owlvit"}, "'owlvit'; the detectors that are read"),
        ({"model_type": "rt_detr"}, "'rt_detr'"),
        ({}, "None"),
        ({"model_type": "detr", "use_timm_backbone": True}, "no_timm"),
        ({"model_type": "detr", "num_queries": 0}, "is 0"),
        ({"model_type": "detr", "num_queries": "many"}, "'many'"),
    ],
)
def test_others_are_refused(config: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        box_form(config, "config.json")


def test_pixels_are_imagenets_where_nothing_else_is_said() -> None:
    inputs = detector_inputs(SIZE, "it").inputs
    assert (inputs.height, inputs.width, inputs.resize) == (64, 96, None)
    assert inputs.mean == (0.485, 0.456, 0.406)
    assert detector_inputs({**SIZE, "image_mean": [0.5] * 3}, "it").inputs.mean == (0.5,) * 3


@pytest.mark.parametrize(
    "options",
    [{}, {"size": {"shortest_edge": 800, "longest_edge": 1333}}, {"size": 800}],
)
def test_images_of_several_sizes_are_refused_with_what_to_set(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r'set size to \{"height"'):
        detector_inputs(options, "preprocessor_config.json")


def test_a_pad_size_is_refused() -> None:
    options = {**SIZE, "do_pad": True, "pad_size": {"height": 100, "width": 100}}
    with pytest.raises(UsageError, match="pad_size"):
        detector_inputs(options, "it")


def test_a_head_must_have_a_class_more_where_one_is_nothing() -> None:
    tensors = {
        "class_labels_classifier.weight": Tensor(dtype="F32", shape=(4, 16), data_offsets=(0, 256))
    }
    shared = BoxForm(scores="softmax", most=5)
    check_detector_head(tensors, ("a", "b", "c"), shared, Path("m"))
    with pytest.raises(UsageError, match="a head of 5 classes is needed, and the weights have 4"):
        check_detector_head(tensors, ("a", "b", "c", "d"), shared, Path("m"))
    apart = BoxForm(scores="sigmoid", most=5)
    check_detector_head(tensors, ("a", "b", "c", "d"), apart, Path("m"))
    with pytest.raises(UsageError, match="have none"):
        check_detector_head({}, ("a",), apart, Path("m"))
