"""Small random convolution nets of every family whose channels are pruned; needs torch."""

from typing import Any, Final

import numpy as np

from deployopt.core.interface import ImageInputs, Interface, Task
from deployopt.core.samples import Array

LABELS: Final = ("no", "yes", "both")
SIDE: Final = 32
_RESNET: Final[dict[str, object]] = {"depths": [2, 1], "downsample_in_first_stage": False}
_CLASSES: Final[dict[str, tuple[str, dict[str, object]]]] = {
    "resnet-basic": (
        "ResNet", _RESNET | {"layer_type": "basic", "embedding_size": 32, "hidden_sizes": [32, 64]},
    ),
    "resnet-bottleneck": (
        "ResNet", _RESNET | {"embedding_size": 32, "hidden_sizes": [128, 256]},
    ),
    "mobilenet_v1": ("MobileNetV1", {"depth_multiplier": 0.25}),
    "mobilenet_v2": ("MobileNetV2", {"depth_multiplier": 0.5}),
    "efficientnet": (
        "EfficientNet",
        {
            "width_coefficient": 1.0, "depth_coefficient": 1.0, "image_size": SIDE,
            "hidden_dim": 1280, "in_channels": [32, 16, 24], "out_channels": [16, 24, 40],
            "kernel_sizes": [3, 3, 5], "strides": [1, 2, 2], "num_block_repeats": [1, 2, 1],
            "expand_ratios": [1, 6, 6],
        },
    ),
}  # fmt: skip
FAMILIES: Final = tuple(_CLASSES)


def convnet(family: str, seed: int = 0, **changed: object) -> Any:
    """A model in evaluation mode whose answers hang on its inputs, and no normalization is idle."""
    import torch
    import transformers

    torch.manual_seed(seed)
    name, sizes = _CLASSES[family]
    labels = dict(enumerate(LABELS))
    config = getattr(transformers, f"{name}Config")(
        id2label=labels, label2id={label: at for at, label in labels.items()}, **(sizes | changed)
    )
    model: Any = getattr(transformers, f"{name}ForImageClassification")(config)
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.weight, 0.5, 1.5)
            torch.nn.init.normal_(part.bias, std=0.3)
            torch.nn.init.normal_(part.running_mean, std=0.1)
        elif isinstance(part, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(part.weight)
    torch.nn.init.normal_(model.classifier[-1].weight if family.startswith("resnet")
                          else model.classifier.weight, std=0.3)  # fmt: skip
    return model.eval()


def interface() -> Interface:
    """How the examples go in."""
    return Interface(
        task=Task.IMAGE_CLASSIFICATION,
        inputs=ImageInputs(
            input_name="pixel_values", height=SIDE, width=SIDE,
            mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4),
        ),
        outputs=("logits",),
        labels=LABELS,
    )  # fmt: skip


def batch(count: int = 4, seed: int = 0) -> dict[str, Array]:
    """Random images, normalized."""
    random = np.random.default_rng(seed)
    return {"pixel_values": random.standard_normal((count, 3, SIDE, SIDE)).astype(np.float32)}


def pixels(count: int, seed: int = 0) -> list[dict[str, Array]]:
    """The same kind of images one by one, as uint8."""
    random = np.random.default_rng(seed)
    return [
        {"pixel_values": random.integers(0, 256, (1, 3, SIDE, SIDE), dtype=np.uint8)}
        for _ in range(count)
    ]
