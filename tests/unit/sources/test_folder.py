"""What a model folder says of itself, and what is missing when it does not."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.errors import UsageError
from deployopt.core.interface import ImageInputs, Task, TextInputs
from deployopt.sources.folder import complete_folder, read_folder
from tests.fakes.model_folder import (
    text_config,
    write_image_model,
    write_json,
    write_safetensors,
    write_text_model,
)


def spoil(folder: Path, **changed: object) -> Path:
    tree = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    write_json(folder / "config.json", tree | changed)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_text_model(tmp_path / "model", tokenizer=True)


def test_a_text_model(folder: Path) -> None:
    facts = read_folder(folder)
    assert facts.interface.task is Task.TEXT_CLASSIFICATION
    assert facts.interface.inputs == TextInputs(
        max_length=48, pad_id=0, input_names=("input_ids", "attention_mask")
    )
    assert facts.interface.labels == ("NEGATIVE", "POSITIVE")
    assert facts.interface.outputs == ("logits",)
    assert facts.precision is Precision.FP32


def test_bert_takes_token_types(folder: Path) -> None:
    spoil(folder, model_type="bert", architectures=["BertForSequenceClassification"])
    inputs = read_folder(folder).interface.inputs
    assert isinstance(inputs, TextInputs)
    assert inputs.input_names == ("input_ids", "attention_mask", "token_type_ids")


def test_roberta_counts_its_positions_from_the_padding(folder: Path) -> None:
    spoil(folder, model_type="roberta", architectures=["RobertaForSequenceClassification"],
        pad_token_id=1, max_position_embeddings=34)  # fmt: skip
    inputs = read_folder(folder).interface.inputs
    assert isinstance(inputs, TextInputs)
    assert (inputs.max_length, inputs.pad_id) == (32, 1)


def test_an_image_model(tmp_path: Path) -> None:
    facts = read_folder(write_image_model(tmp_path / "model"))
    assert facts.interface.task is Task.IMAGE_CLASSIFICATION
    assert facts.interface.inputs == ImageInputs(
        input_name="pixel_values", height=8, width=8, resize=10, scale=1 / 255,
        mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25),
    )  # fmt: skip
    assert facts.resample == 2


def test_labels_may_be_many_and_in_any_script(tmp_path: Path) -> None:
    labels = [f"classe n° {at} é 日本 \u202e" for at in range(5_000)]
    folder = write_text_model(tmp_path / "model", labels, tokenizer=True)
    assert read_folder(folder).interface.labels == tuple(labels)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"architectures": ["DistilBertModel"]}, "DistilBertModel"),
        ({"architectures": None}, "nothing"),
        ({"architectures": ["DistilBertForSequenceClassification"] * 2}, "architecture"),
        ({"model_type": "llama"}, "'llama'"),
        ({"problem_type": "multi_label_classification"}, "multi_label"),
        ({"problem_type": "regression"}, "regression"),
        ({"id2label": {"0": "only"}}, "1 labels"),
        ({"id2label": {"0": "a", "2": "b"}}, "lacks the numbers 1"),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, "answers 2 classes"),
        ({"id2label": {"0": "a", "1": ""}}, "empty"),
        ({"id2label": ["a", "b"]}, "0 labels"),
        ({"vocab_size": 5}, "another model"),
        ({"pad_token_id": 2**70}, "padding token"),
        ({"max_position_embeddings": "many"}, "'many'"),
        ({"max_position_embeddings": 1}, "1 tokens"),
    ],
)
def test_a_config_that_cannot_be_built_from(
    folder: Path, changed: dict[str, object], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        read_folder(spoil(folder, **changed))


def test_a_model_without_a_head_is_told(folder: Path) -> None:
    weights = {"distilbert.x": np.zeros((2, 2), np.float32)}
    write_safetensors(folder / "model.safetensors", weights)
    with pytest.raises(UsageError, match="no classification head"):
        read_folder(folder)


@pytest.mark.parametrize("name", ["head.weight", "fc.weight"])
def test_heads_of_other_names_are_known(folder: Path, name: str) -> None:
    """SwiftFormer's and HGNetV2's."""
    weights = {"distilbert.x": np.zeros((2, 2), np.float32), name: np.zeros((2, 8), np.float32)}
    write_safetensors(folder / "model.safetensors", weights)
    assert read_folder(folder).interface.labels == ("NEGATIVE", "POSITIVE")


def test_without_id2label_there_are_two_numbered_labels(folder: Path) -> None:
    config = text_config()
    del config["id2label"]
    write_json(folder / "config.json", config)
    assert read_folder(folder).interface.labels == ("LABEL_0", "LABEL_1")


def test_without_a_tokenizer_the_way_to_one_is_told(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").unlink()
    with pytest.raises(UsageError, match="save_pretrained"):
        complete_folder(folder)


def test_without_a_preprocessor_the_way_to_one_is_told(tmp_path: Path) -> None:
    folder = write_image_model(tmp_path / "model")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(UsageError, match="AutoImageProcessor"):
        read_folder(folder)


def test_parts_of_weights_go_together(folder: Path) -> None:
    part = "model-00001-of-00001.safetensors"
    shutil.move(folder / "model.safetensors", folder / part)
    write_json(folder / "model.safetensors.index.json", {"weight_map": {"classifier.weight": part}})
    assert read_folder(folder).precision is Precision.FP32
