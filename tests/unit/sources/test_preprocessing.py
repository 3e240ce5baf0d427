"""Preprocessor files of the models in the catalogue, and ones that say too little."""

import json
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.errors import UsageError
from deployopt.sources.preprocessing import read_preprocessor

VIT = {
    "do_normalize": True, "do_resize": True, "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5], "size": 224,
}  # fmt: skip
RESNET = {
    "crop_pct": 0.875, "do_normalize": True, "do_resize": True,
    "feature_extractor_type": "ConvNextFeatureExtractor", "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": 224,
}  # fmt: skip
MOBILENET = {
    "crop_size": {"height": 224, "width": 224}, "do_center_crop": True, "do_normalize": True,
    "do_rescale": True, "do_resize": True, "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "MobileNetV2ImageProcessor", "image_std": [0.5, 0.5, 0.5],
    "resample": 2, "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 256},
}  # fmt: skip
EFFICIENTNET = {
    "crop_size": {"height": 289, "width": 289}, "do_center_crop": False, "do_normalize": True,
    "do_rescale": True, "do_resize": True, "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "EfficientNetImageProcessor",
    "image_std": [0.47853944, 0.4732864, 0.47434163], "include_top": True, "resample": 0,
    "rescale_factor": 0.00392156862745098, "rescale_offset": False,
    "size": {"height": 224, "width": 224},
}  # fmt: skip


@pytest.mark.parametrize(
    ("options", "resize", "side", "resample"),
    [(VIT, None, 224, 2), (RESNET, 256, 224, 3), (MOBILENET, 256, 224, 2),
     (EFFICIENTNET, None, 224, 0)],
    ids=["vit", "resnet", "mobilenet", "efficientnet"],
)  # fmt: skip
def test_the_catalogues_models(
    options: dict[str, object], resize: int | None, side: int, resample: int
) -> None:
    facts = read_preprocessor(options, "p")
    assert (facts.inputs.resize, facts.inputs.height, facts.inputs.width) == (resize, side, side)
    assert facts.resample == resample
    assert facts.inputs.scale == pytest.approx(1 / 255)


def test_the_extra_division_of_efficientnet_is_kept() -> None:
    inputs = read_preprocessor(EFFICIENTNET, "p").inputs
    assert inputs.std == pytest.approx([0.229, 0.224, 0.225], abs=1e-6)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"image_mean": [0.5]}, "image_mean"),
        ({"image_std": [0, 1, 1]}, "image_std"),
        ({"image_std": "half"}, "image_std"),
        ({"rescale_factor": -1}, "rescale_factor"),
        ({"rescale_offset": True}, "rescale_offset"),
        ({"size": {}}, "size"),
        ({"size": 100_000}, "100000 pixels"),
        ({"do_center_crop": True, "crop_size": None}, "crop_size"),
    ],
)
def test_what_cannot_be_said_is_refused(changed: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_preprocessor(VIT | changed, "p")


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "options"),
    [("ViT", VIT), ("ConvNext", RESNET), ("MobileNetV2", MOBILENET),
     ("EfficientNet", EFFICIENTNET)],
)  # fmt: skip
def test_the_pixels_are_those_of_transformers(
    tmp_path: Path, name: str, options: dict[str, object]
) -> None:
    transformers = pytest.importorskip("transformers")
    image = pytest.importorskip("PIL.Image")
    from deployopt.device.images import image_input
    from deployopt.sources.images import read_image

    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    image.fromarray(coarse).resize((360, 240), 2).save(tmp_path / "a.png")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(options), encoding="utf-8")
    kind = getattr(transformers, f"{name}ImageProcessorPil", None)
    if kind is None:
        pytest.skip("transformers has no such processor without torchvision")
    expected = kind.from_pretrained(tmp_path)(image.open(tmp_path / "a.png"), return_tensors="np")
    facts = read_preprocessor(options, "p")
    found = image_input(read_image(tmp_path / "a.png", facts.inputs, facts.resample), facts.inputs)
    difference = np.abs(found - expected["pixel_values"][0])
    assert difference.shape == (3, 224, 224)
    assert float(np.mean(difference)) < 0.02
