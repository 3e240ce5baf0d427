"""Detectors end to end: a tiny YOLOS that has learnt to find coloured shapes, and DETRs' graphs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pycocotools")
from deployopt.core.samples import Feed
from deployopt.graph.attaching import attach_weights
from deployopt.modeling.exporting import ExportOptions, export_folder
from deployopt.modeling.reference import find_boxes
from deployopt.sources.folder import read_folder
from deployopt.store.verifying import verify_bundle
from tests.fakes.coloured_shapes import LABELS, write_coco, write_yolos
from tests.functional.conftest import Done, Invoke, check_schema

pytestmark = [pytest.mark.torch, pytest.mark.slow]
IMAGES = 450


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and its data."""
    folder = tmp_path_factory.mktemp("shapes")
    write_yolos(folder / "model", steps=600)
    write_coco(folder / "data", IMAGES)
    return folder


@pytest.fixture(scope="module")
def detector_build(invoke: Invoke, shapes: Path) -> Done:
    return invoke(
        "build", "-t", "rpi4", "-m", shapes / "model", "-d", shapes / "data", "-o", shapes / "out",
        "--store", shapes / "store", "-b", "map_drop=3pt", "--json",
    )  # fmt: skip


def test_a_detector_is_judged_by_its_map(detector_build: Done, shapes: Path) -> None:
    found = detector_build.json
    check_schema("build-result", found)
    assert found["verdict"]["provisional"] is True, detector_build.err
    checks = {check["metric"]: check for check in found["verdict"]["checks"]}
    assert "accuracy_drop" not in checks
    drop = checks["map_drop"]
    assert drop["outcome"] == "accepted"
    assert abs(drop["observed"]) < 0.001 < drop["upper"] < 0.03
    trial = found["gate"]["trial"]
    # What it finds is worth judging: chance has next to nothing.
    assert trial["precision"]["reference"] > 0.5
    assert trial["precision"]["boxes"] == trial["examples"] == len(trial["precision"]["pulls"])
    manifest = verify_bundle(shapes / "out.provisional")
    assert manifest.interface.detects
    assert manifest.interface.outputs == ("logits", "pred_boxes")
    assert manifest.deployed == ("model/model.onnx",)


def test_run_prints_what_it_finds_in_pixels(
    invoke: Invoke, detector_build: Done, shapes: Path
) -> None:
    assert detector_build.code == 3
    truth = json.loads((shapes / "data" / "boxes.json").read_bytes())
    near = 0
    for image, box in list(zip(truth["images"], truth["annotations"], strict=True))[:10]:
        path = shapes / "data" / "images" / image["file_name"]
        (answer,) = invoke("run", shapes / "out.provisional", "--image", path, "--json").json
        left, top, width, height = box["bbox"]
        near += any(
            one["label"] == LABELS[box["category_id"] - 1]
            and np.allclose(
                [one["left"], one["top"], one["right"], one["bottom"]],
                [left, top, left + width, top + height],
                atol=2.0,
            )
            for one in answer["boxes"]
        )
    assert near >= 8
    told = invoke("run", shapes / "out.provisional", path).out
    assert any(label in told for label in LABELS)
    assert told.rstrip().endswith(image["file_name"])


def test_verify_asks_the_stored_images_again(
    invoke: Invoke, detector_build: Done, shapes: Path
) -> None:
    built = detector_build.json["gate"]["trial"]
    done = invoke("verify", shapes / "out.provisional", "--proxy", "--json")
    check_schema("verify-result", done.json)
    again = done.json["accuracy"]["trial"]
    assert again["precision"]["candidate"] == pytest.approx(built["precision"]["candidate"])
    assert again["examples"] == built["examples"]


def test_triton_would_work_out_labels_of_it(
    invoke: Invoke, detector_build: Done, shapes: Path, tmp_path: Path
) -> None:
    assert detector_build.code == 3
    bundle = shapes / "out.provisional"
    refused = invoke("export", bundle, tmp_path / "served", "--as", "triton")
    assert refused.code == 2
    assert "holds a detector" in refused.paragraph


def test_labels_are_no_budget_of_a_detector(invoke: Invoke, shapes: Path) -> None:
    done = invoke(
        "build", "-t", "rpi4", "-m", shapes / "model", "-d", shapes / "data", "-o",
        shapes / "wrong", "--store", shapes / "store", "-b", "accuracy_drop=1pt",
    )  # fmt: skip
    assert done.code == 2
    assert "accuracy_drop cannot be judged of a detector" in done.paragraph
    assert "map_drop" in done.paragraph


def write_detr(folder: Path, kind: str) -> Path:
    """A tiny one with transformers' own ResNet, its weights random."""
    import torch
    import transformers

    torch.manual_seed(0)
    stages = ["stage2", "stage3", "stage4"] if kind == "DeformableDetr" else ["stage4"]
    backbone = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=stages,
    )  # fmt: skip
    options: dict[str, Any] = {"num_feature_levels": 3} if len(stages) > 1 else {}
    config = getattr(transformers, f"{kind}Config")(
        backbone_config=backbone, backbone=None, use_timm_backbone=False,
        use_pretrained_backbone=False, d_model=32, encoder_layers=1, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
        decoder_ffn_dim=32, num_queries=9, id2label=dict(enumerate(LABELS)),
        label2id={label: at for at, label in enumerate(LABELS)}, **options,
    )  # fmt: skip
    model = getattr(transformers, f"{kind}ForObjectDetection")(config)
    model.eval().save_pretrained(folder)
    size = {"size": {"height": 64, "width": 96}}
    (folder / "preprocessor_config.json").write_text(json.dumps(size))
    return folder


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(
    ("kind", "scores"),
    [("Detr", "softmax"), ("ConditionalDetr", "sigmoid"), ("DeformableDetr", "sigmoid")],
)
def test_graphs_of_detrs_say_what_torch_says(tmp_path: Path, kind: str, scores: str) -> None:
    folder = write_detr(tmp_path / "model", kind)
    interface = read_folder(folder).interface
    assert interface.boxes
    assert interface.boxes.scores == scores
    random = np.random.default_rng(0)
    images: list[Feed] = [
        {"pixel_values": random.standard_normal((1, 3, 64, 96)).astype(np.float32)}
        for _ in range(3)
    ]
    options = ExportOptions(attach=attach_weights)
    assert export_folder(folder, interface, tmp_path / "model.onnx", options, images) < 1e-5
    first = find_boxes(folder, interface, images, batch=2)[0]
    assert {name: array.shape[0] for name, array in first.items()} == dict.fromkeys(
        interface.outputs, 1
    )
