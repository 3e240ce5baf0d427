"""Images: the work of published nets, and the stacks of vision transformers."""

import pytest

from deployopt.core.errors import UsageError
from deployopt.planning.architectures import read_architecture
from deployopt.planning.architectures.net import Convolution, Net, convolved, repeated

B0 = {"width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280, "image_size": 224}
BIG = {"hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2], "layer_type": "basic"}


@pytest.mark.parametrize(
    ("model_type", "name", "keys", "macs"),
    [
        ("resnet", "ResNet", {}, 4.09e9),
        ("resnet", "ResNet", BIG, 1.82e9),
        ("mobilenet_v2", "MobileNetV2", {}, 0.301e9),
        ("mobilenet_v1", "MobileNetV1", {}, 0.569e9),
        ("efficientnet", "EfficientNet", B0, 0.39e9),
        ("convnext", "ConvNext", {}, 4.46e9),
        ("regnet", "RegNet", {"depths": [2, 6, 17, 2], "groups_width": 112,
          "hidden_sizes": [224, 448, 896, 2240]}, 16.0e9),
    ],
)  # fmt: skip
def test_nets_have_their_published_work(
    model_type: str, name: str, keys: dict[str, object], macs: float
) -> None:
    config = {
        "model_type": model_type,
        "architectures": [f"{name}ForImageClassification"],
        "num_labels": 1000,
        **keys,
    }
    found = read_architecture(config)
    assert found.stacks == ()
    assert sum(o.macs * o.count for o in found.operations) == pytest.approx(macs, rel=0.02)
    assert found.activations > 0
    assert found.image_size == 224


def test_the_kinds_of_convolution() -> None:
    net = Net(channels=8, height=9, width=9)
    for convolution, kind in (
        (Convolution(channels=4), "conv1x1"),
        (Convolution(channels=4, kernel=3), "conv3x3"),
        (Convolution(channels=4, kernel=3, stride=2), "conv"),
        (Convolution(channels=8, kernel=3, groups=8), "depthwise"),
        (Convolution(channels=8, kernel=3, groups=4), "conv"),
    ):
        assert convolved(net, convolution).operations[0].kind == kind


def test_one_convolution_in_numbers() -> None:
    net = convolved(
        Net(channels=3, height=5, width=6), Convolution(channels=4, kernel=3, stride=2, bias=True)
    )
    assert (net.channels, net.height, net.width) == (4, 3, 3)
    assert net.parameters == 3 * 3 * 3 * 4 + 4 + 2 * 4
    assert net.operations[0].macs == 3 * 3 * 3 * 4 * 9
    assert net.operations[0].activations == 90 + 36


def test_repeated_blocks_count_as_often_as_they_stand() -> None:
    net = Net(channels=8, height=4, width=4)
    three = repeated(net, 3, lambda plane: convolved(plane, Convolution(channels=8)))
    assert three.parameters == 3 * (64 + 16)
    assert three.operations[0].count == 3


def test_patches_and_special_tokens() -> None:
    for family, tokens in (("vit", 197), ("deit", 198), ("beit", 197), ("dinov2", 257)):
        assert read_architecture({"model_type": family}).stacks[0].tokens == tokens
    wide = read_architecture({"model_type": "vit", "image_size": [224, 448]})
    assert wide.stacks[0].tokens == 14 * 28 + 1
    assert wide.operations[0].kind == "conv"


def test_swin_looks_inside_windows_and_halves_its_plane() -> None:
    stacks = read_architecture({"model_type": "swin"}).stacks
    assert [stack.tokens for stack in stacks] == [3136, 784, 196, 49]
    assert [stack.hidden for stack in stacks] == [96, 192, 384, 768]
    assert [stack.window for stack in stacks] == [49, 49, 49, None]


def test_detectors_have_a_token_for_each_box() -> None:
    detr = read_architecture({"model_type": "detr", "architectures": ["DetrForObjectDetection"]})
    assert [stack.tokens for stack in detr.stacks] == [25 * 34, 100]
    assert not detr.generates
    assert "800 x 1066" in detr.basis
    with pytest.raises(UsageError, match="backbone, but one of resnet18"):
        read_architecture({"model_type": "detr", "backbone": "dinat"})


def test_two_encoders_stand_side_by_side() -> None:
    found = read_architecture({"model_type": "clip"})
    assert [(stack.name, stack.causal) for stack in found.stacks] == [
        ("text", False),
        ("vision", False),
    ]


def test_a_model_that_sees_has_its_image_first() -> None:
    found = read_architecture({"model_type": "llava"})
    assert [stack.name for stack in found.stacks] == ["vision", "decoder"]
    assert found.image_size == 336
    assert found.generates


@pytest.mark.parametrize(
    "keys",
    [
        {"model_type": "vit", "patch_size": 500},
        {"model_type": "vit", "image_size": [224, 224, 224]},
        {"model_type": "resnet", "depths": [1, 2]},
        {"model_type": "resnet", "layer_type": "odd"},
        {"model_type": "swin", "num_heads": [3, 6]},
        {"model_type": "swin", "num_heads": [5, 6, 12, 24]},
        {"model_type": "efficientnet", "strides": [1]},
        {"model_type": "segformer", "depths": [2, 2]},
        {"model_type": "regnet", "hidden_sizes": [129, 192, 512, 1088], "groups_width": 64},
    ],
)
def test_shapes_that_cannot_be_are_refused(keys: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        read_architecture(keys)
