"""A CLIP or SigLIP folder read as data, and folders that only look like one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployopt.core.errors import UsageError
from deployopt.core.interface import PairInputs, Task
from deployopt.core.zero_shot import FILE, ZeroShot, encode_zero_shot
from deployopt.sources.folder import complete_folder, read_folder
from tests.fakes.clip_folder import (
    CONTEXT,
    SIDE,
    clip_config,
    write_clip_folder,
    write_siglip_folder,
)
from tests.fakes.model_folder import write_json, write_safetensors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_clip_folder(tmp_path / "clip")


def test_it_takes_an_image_and_a_text(folder: Path) -> None:
    facts = read_folder(folder)
    interface = facts.interface
    assert interface.task is Task.IMAGE_TEXT
    assert interface.pairs
    assert not interface.classifies
    assert isinstance(interface.inputs, PairInputs)
    assert (interface.inputs.image.height, interface.inputs.image.resize) == (SIDE, SIDE)
    # What the file does not say is CLIP's own.
    assert interface.inputs.image.mean == (0.48145466, 0.4578275, 0.40821073)
    assert interface.inputs.text.max_length == CONTEXT
    assert interface.outputs == ("image_embeds", "text_embeds", "logits_per_image")
    assert facts.resample == 3


def test_with_fixed_captions_it_classifies_images(folder: Path) -> None:
    fixed = ZeroShot(labels=("cat", "dog"), captions=(((0, 5, 1),), ((0, 6, 1),)))
    (folder / FILE).write_bytes(encode_zero_shot(fixed))
    interface = read_folder(folder).interface
    assert interface.task is Task.ZERO_SHOT
    assert interface.classifies
    assert interface.labels == ("cat", "dog")
    assert interface.outputs == ("logits",)


def test_a_newer_folder_brings_its_preprocessor_in_another_file(folder: Path) -> None:
    options = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    write_json(folder / "processor_config.json", {"image_processor": options})
    complete_folder(folder)
    assert read_folder(folder).interface.pairs


def changed_part(name: str, **values: Any) -> dict[str, Any]:
    return {name: clip_config()[name] | values}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"architectures": ["SiglipModel"]}, "'clip' and names .'SiglipModel'"),
        (
            {"architectures": ["AltCLIPModel"], "model_type": "altclip"},
            "read are 'clip' .CLIPModel",
        ),
        ({"architectures": ["CLIPVisionModelWithProjection"]}, "CLIPVisionModelWithProjection"),
        ({"text_config": None}, "has no text_config"),
        (changed_part("vision_config", image_size=32), "16 x 16 pixels.*32 x 32"),
        (changed_part("text_config", max_position_embeddings="many"), "'many'"),
        (changed_part("text_config", vocab_size=3), "another model"),
    ],
)
def test_another_model_is_told(tmp_path: Path, changed: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_folder(write_clip_folder(tmp_path / "clip", **changed))


def test_half_of_the_weights_is_told(folder: Path) -> None:
    weights = {"visual_projection.weight": np.zeros((4, 8), np.float32)}
    write_safetensors(folder / "model.safetensors", weights)
    with pytest.raises(UsageError, match=r"no text_projection\.weight"):
        read_folder(folder)


@pytest.mark.parametrize(
    ("missing", "why"),
    [("tokenizer.json", "AutoTokenizer"), ("preprocessor_config.json", "AutoImageProcessor")],
)
def test_a_folder_without_one_side_is_told(folder: Path, missing: str, why: str) -> None:
    (folder / missing).unlink()

    def completed() -> None:
        complete_folder(folder)
        read_folder(folder)

    with pytest.raises(UsageError, match=why):
        completed()


def test_siglip_reads_padded_texts_each_scored_by_itself(tmp_path: Path) -> None:
    folder = write_siglip_folder(tmp_path / "siglip", model_input_names=["input_ids"])
    complete_folder(folder)
    interface = read_folder(folder).interface
    assert isinstance(interface.inputs, PairInputs)
    text, image = interface.inputs.text, interface.inputs.image
    assert (interface.apart, text.padded, text.input_names) == (True, True, ("input_ids",))
    # The end is the padding too, whatever the config says of it; 64 where it says nothing.
    assert (text.pad_id, text.max_length) == (1, 64)
    assert (image.height, image.resize, image.mean) == (SIDE, None, (0.5, 0.5, 0.5))
    fixed = ZeroShot(labels=("cat", "dog"), captions=(((5, 1),), ((6, 1),)))
    (folder / FILE).write_bytes(encode_zero_shot(fixed))
    classifier = read_folder(folder).interface
    assert (classifier.task, classifier.apart) == (Task.ZERO_SHOT, True)


def test_siglips_mask_is_what_its_tokenizer_would_give(tmp_path: Path) -> None:
    folder = write_siglip_folder(tmp_path / "siglip")
    complete_folder(folder)
    inputs = read_folder(folder).interface.inputs
    assert isinstance(inputs, PairInputs)
    assert inputs.text.input_names == ("input_ids", "attention_mask")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"padding_side": "left"}, "padding_side is 'left'"),
        ({"pad_token": "<nothing>"}, "'<nothing>' is none of the words"),
    ],
)
def test_siglips_with_other_padding_are_told(
    tmp_path: Path, options: dict[str, Any], why: str
) -> None:
    folder = write_siglip_folder(tmp_path / "siglip", **options)
    complete_folder(folder)
    with pytest.raises(UsageError, match=why):
        read_folder(folder)


def test_a_siglip_without_its_bias_is_told(tmp_path: Path) -> None:
    folder = write_siglip_folder(tmp_path / "siglip")
    complete_folder(folder)
    weights = {
        name: np.zeros((1,), np.float32)
        for name in ("text_model.head.weight", "vision_model.head.probe", "logit_scale")
    }
    write_safetensors(folder / "model.safetensors", weights)
    with pytest.raises(UsageError, match=r"no logit_bias.*SiglipModel"):
        read_folder(folder)
