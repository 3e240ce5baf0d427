"""A folder in COCO's form becomes three splits of a detector."""

import json
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.boxes import truth_of
from deployopt.core.bundle import Origin
from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.examples import IMAGE, decode_examples
from deployopt.core.interface import BoxForm, ImageInputs, Interface, Task
from deployopt.core.measurement import Split
from deployopt.core.source import SourceModel
from deployopt.sources.coco_data import annotation_file
from deployopt.sources.data import load_dataset
from deployopt.store.store import Store

pytest.importorskip("PIL")
from tests.fakes.coloured_shapes import LABELS, SIDE, write_coco


def detector(folder: Path) -> SourceModel:
    return SourceModel(
        name="shapes",
        artifact=Artifact(
            format=Format.TRANSFORMERS,
            folder=folder,
            entry="config.json",
            digest="0" * 64,
            precision=Precision.FP32,
        ),
        interface=Interface(
            task=Task.OBJECT_DETECTION,
            inputs=ImageInputs(input_name="pixel_values", height=16, width=24),
            outputs=("logits", "pred_boxes"),
            labels=LABELS,
            boxes=BoxForm(scores="softmax", most=4),
        ),
        origin=Origin(asked="shapes", resolved="shapes"),
    )


def test_images_come_at_the_models_size_with_their_boxes(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "data", 60)
    with Store(tmp_path / "store") as store:
        found = load_dataset(str(data), model=detector(tmp_path), store=store)
        assert found.labelled
        assert sum(split.examples for split in found.splits.values()) == 60
        gate = decode_examples(found.splits[Split.GATE].path)
        assert gate.labels is None
        first = gate.inputs[0]
        assert not isinstance(first, str)
        assert first[IMAGE].shape == (16, 24, 3)
        truth = truth_of(gate.inputs, "gate")
        sides = np.concatenate([one.boxes[:, 2:] - one.boxes[:, :2] for one in truth])
        assert np.allclose(sides, 12 / SIDE)
        again = load_dataset(str(data / "boxes.json"), model=detector(tmp_path), store=store)
        assert {s.examples for s in again.splits.values()} == {
            s.examples for s in found.splits.values()
        }


def test_data_that_was_moved_is_cut_as_before(tmp_path: Path) -> None:
    here, there = write_coco(tmp_path / "here", 60), write_coco(tmp_path / "there", 60)
    with Store(tmp_path / "store") as store:
        first, second = (
            load_dataset(str(one), model=detector(tmp_path), store=store) for one in (here, there)
        )
        for split in Split:
            assert first.splits[split].digest == second.splits[split].digest


def test_an_image_of_another_size_than_annotated_is_an_error(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "data", 40)
    content = json.loads((data / "boxes.json").read_text())
    for image in content["images"]:
        image["height"] = SIDE + 1
    (data / "boxes.json").write_text(json.dumps(content))
    with Store(tmp_path / "store") as store, pytest.raises(UsageError, match="would lie wrong"):
        load_dataset(str(data), model=detector(tmp_path), store=store)


def test_a_missing_image_and_a_link_outwards_are_told(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "data", 40)
    image = data / "images" / "00009.png"
    image.unlink()
    with Store(tmp_path / "store") as store:
        with pytest.raises(UsageError, match=r"'00009\.png', which is not in"):
            load_dataset(str(data), model=detector(tmp_path), store=store)
        (tmp_path / "secret.png").write_bytes(b"x")
        image.symlink_to(tmp_path / "secret.png")
        with pytest.raises(RefusedInputError, match="link to"):
            load_dataset(str(data), model=detector(tmp_path), store=store)


def test_data_of_the_hub_has_no_boxes(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store, pytest.raises(UsageError, match="no boxes"):
        load_dataset("hub:datasets/some/data", model=detector(tmp_path), store=store)


def test_annotations_are_found_beside_the_images_or_in_their_folder(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    with pytest.raises(UsageError, match="0 files of annotations"):
        annotation_file(tmp_path)
    wanted = tmp_path / "annotations" / "instances_val2017.json"
    wanted.write_text("{}")
    assert annotation_file(tmp_path) == wanted
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(UsageError, match="2 files of annotations"):
        annotation_file(tmp_path)
