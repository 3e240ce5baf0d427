"""Fixed captions give the logits that transformers' own CLIP and SigLIP give."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from deployopt.core.interface import Task
from deployopt.core.zero_shot import Padding, ZeroShot
from deployopt.modeling.loading import load_model
from deployopt.modeling.zero_shot import zero_shot_classifier
from tests.fakes.captioned_shapes import SIDE, write_clip
from tests.fakes.siglip_shapes import CONTEXT, fast_tokenizer, write_siglip

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip"), steps=0)


def test_one_caption_a_label_is_what_transformers_says(folder: Path) -> None:
    import transformers

    model = load_model(folder, Task.IMAGE_TEXT)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = ["a red circle", "a photo of a large blue square", "triangle at the top left", "red"]
    images = torch.randn(3, 3, SIDE, SIDE)
    with torch.inference_mode():
        wanted = model(pixel_values=images, **tokenizer(texts, padding=True, return_tensors="pt"))
        fixed = ZeroShot(
            labels=tuple(texts),
            captions=tuple((tuple(tokenizer(text).input_ids),) for text in texts),
        )
        (found,) = zero_shot_classifier(model, fixed)(pixel_values=images)
    np.testing.assert_allclose(found, wanted.logits_per_image, atol=1e-4)


def test_several_captions_stand_as_the_mean_of_their_directions(folder: Path) -> None:
    model = load_model(folder, Task.IMAGE_TEXT)
    one, other, third = (0, 20, 21, 1), (0, 30, 1), (0, 22, 23, 24, 1)
    images = torch.randn(2, 3, SIDE, SIDE)
    fixed = ZeroShot(labels=("x", "y"), captions=((one, other), (third,)))
    with torch.inference_mode():
        (found,) = zero_shot_classifier(model, fixed)(pixel_values=images)
        each = [
            model.get_text_features(input_ids=torch.tensor([ids]), return_dict=True).pooler_output
            for ids in (one, other)
        ]
        middle = sum(text / text.norm() for text in each) / 2
        seen = model.get_image_features(pixel_values=images, return_dict=True).pooler_output
        cosine = torch.nn.functional.cosine_similarity(seen, middle)
        wanted = cosine * model.logit_scale.exp()
    np.testing.assert_allclose(found[:, 0], wanted, atol=1e-4)


def test_the_text_tower_is_not_in_it(folder: Path) -> None:
    model = load_model(folder, Task.IMAGE_TEXT)
    fixed = ZeroShot(labels=("x", "y"), captions=(((0, 1),), ((0, 5, 1),)))
    names = {
        name.split(".")[0] for name, _ in zero_shot_classifier(model, fixed).named_parameters()
    }
    assert names == {"vision_model", "visual_projection"}


@pytest.mark.parametrize("masked", [False, True])
def test_siglips_captions_are_read_with_their_padding(tmp_path: Path, *, masked: bool) -> None:
    folder = write_siglip(tmp_path / "siglip", steps=0)
    model, tokenizer = load_model(folder, Task.IMAGE_TEXT), fast_tokenizer(folder)
    tokenizer.model_input_names = ["input_ids", *(["attention_mask"] if masked else [])]
    texts = ["a red circle", "a photo of a large blue square", "red"]
    images = torch.randn(3, 3, SIDE, SIDE)
    words = tokenizer(texts, padding="max_length", return_tensors="pt")
    assert words.input_ids.shape == (3, CONTEXT)
    fixed = ZeroShot(
        labels=tuple(texts),
        captions=tuple((tuple(tokenizer(text).input_ids),) for text in texts),
        padding=Padding(length=CONTEXT, pad_id=tokenizer.pad_token_id, masked=masked),
    )
    with torch.inference_mode():
        wanted = model(pixel_values=images, **words).logits_per_image
        (found,) = zero_shot_classifier(model, fixed)(pixel_values=images)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert abs(float(wanted.mean()) + 4) < 4
