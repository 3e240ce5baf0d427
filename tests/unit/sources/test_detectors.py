"""What a detector's folder says of its boxes and its images."""

from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.interface import BoxForm
from deployopt.sources.detectors import box_form, check_detector_head, detector_inputs
from deployopt.sources.weights import Tensor

YOLOS = {"model_type": "yolos"}
SIZE = {"size": {"height": 64, "width": 96}}


def test_each_family_has_its_form() -> None:
    yolos = box_form({"model_type": "yolos", "num_detection_tokens": 8}, "config.json")
    assert yolos == BoxForm(scores="softmax", most=8)
    assert box_form({"model_type": "detr", "num_queries": 9}, "it").most == 9
    apart = box_form({"model_type": "deformable_detr", "num_queries": 300}, "it")
    assert apart == BoxForm(scores="sigmoid", most=100)
    for kind in ("rt_detr", "rt_detr_v2"):
        ranked = box_form({"model_type": kind, "num_queries": 300}, "it")
        assert ranked == BoxForm(scores="sigmoid", most=300)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "owlvit"}, "'owlvit'; the detectors that are read"),
        ({"model_type": "d_fine"}, "'d_fine'"),
        ({}, "None"),
        ({"model_type": "detr", "use_timm_backbone": True}, "no_timm"),
        ({"model_type": "rt_detr", "backbone_config": {"model_type": "timm_backbone"}}, "no_timm"),
        ({"model_type": "rt_detr", "learn_initial_query": True}, "learn_initial_query is set"),
        ({"model_type": "detr", "num_queries": 0}, "is 0"),
        ({"model_type": "detr", "num_queries": "many"}, "'many'"),
    ],
)
def test_others_are_refused(config: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        box_form(config, "config.json")


def test_pixels_are_imagenets_where_nothing_else_is_said() -> None:
    inputs = detector_inputs(YOLOS, SIZE, "it").inputs
    assert (inputs.height, inputs.width, inputs.resize) == (64, 96, None)
    assert inputs.mean == (0.485, 0.456, 0.406)
    assert detector_inputs(YOLOS, {**SIZE, "image_mean": [0.5] * 3}, "it").inputs.mean == (0.5,) * 3


def test_rt_detr_sees_plain_shares_of_a_square() -> None:
    inputs = detector_inputs({"model_type": "rt_detr"}, {}, "it").inputs
    assert (inputs.height, inputs.width) == (640, 640)
    assert (inputs.mean, inputs.std, inputs.scale) == ((0.0,) * 3, (1.0,) * 3, 1 / 255)
    told = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    assert detector_inputs({"model_type": "rt_detr"}, told, "it").inputs.std == (0.25,) * 3


def test_anchors_of_another_size_are_told() -> None:
    config = {"model_type": "rt_detr", "anchor_image_size": [64, 96]}
    assert detector_inputs(config, SIZE, "it").inputs.height == 64
    with pytest.raises(UsageError, match=r"640 x 640.*\[64, 96\] \(anchor_image_size"):
        detector_inputs(config, {}, "it")
    with pytest.raises(UsageError, match="images of 320"):
        detector_inputs({**config, "anchor_image_size": 320}, SIZE, "it")


@pytest.mark.parametrize(
    "options",
    [{}, {"size": {"shortest_edge": 800, "longest_edge": 1333}}, {"size": 800}],
)
def test_images_of_several_sizes_are_refused_with_what_to_set(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r'set size to \{"height"'):
        detector_inputs(YOLOS, options, "preprocessor_config.json")


def test_a_pad_size_is_refused() -> None:
    options = {**SIZE, "do_pad": True, "pad_size": {"height": 100, "width": 100}}
    with pytest.raises(UsageError, match="pad_size"):
        detector_inputs(YOLOS, options, "it")


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


def test_what_rt_detr_learnt_with_is_no_head() -> None:
    def of(classes: int) -> Tensor:
        return Tensor(dtype="F32", shape=(classes, 8), data_offsets=(0, classes * 32))

    tensors = {
        "model.decoder.class_embed.0.weight": of(3),
        "model.denoising_class_embed.weight": of(4),
    }
    form = BoxForm(scores="sigmoid", most=9)
    check_detector_head(tensors, ("a", "b", "c"), form, Path("m"))
    with pytest.raises(UsageError, match="a head of 4 classes is needed, and the weights have 3"):
        check_detector_head(tensors, ("a", "b", "c", "d"), form, Path("m"))
