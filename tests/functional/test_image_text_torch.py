"""CLIP end to end, with fixed labels and with both towers: a tiny one that has learnt to match."""

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from deployopt.graph.attaching import attach_weights
from deployopt.modeling.exporting import ExportOptions, export_folder
from deployopt.sources.folder import read_folder
from deployopt.store.verifying import verify_bundle
from tests.fakes.captioned_shapes import (
    SHAPES,
    write_captions,
    write_classes,
    write_clip,
    write_labels,
)
from tests.functional.conftest import Done, Invoke, check_schema

pytestmark = [pytest.mark.torch, pytest.mark.slow]
IMAGES = 420
PAIRS = 450


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, its labels and its data."""
    folder = tmp_path_factory.mktemp("captioned")
    write_clip(folder / "model", steps=300)
    write_classes(folder / "data", IMAGES)
    write_captions(folder / "pairs", PAIRS)
    write_labels(folder / "labels.csv")
    return folder


@pytest.fixture(scope="module")
def classifier_build(invoke: Invoke, shapes: Path) -> Done:
    return invoke(
        "build", "-t", "rpi4", "-m", shapes / "model", "-d", shapes / "data", "--labels",
        shapes / "labels.csv", "-o", shapes / "out", "--store", shapes / "store", "-b",
        "accuracy_drop=5pt", "--json",
    )  # fmt: skip


def test_labels_make_a_classifier_of_it(classifier_build: Done, shapes: Path) -> None:
    found = classifier_build.json
    check_schema("build-result", found)
    assert found["verdict"]["provisional"] is True, classifier_build.err
    trial = found["gate"]["trial"]
    # What it says is worth judging: of three shapes chance has a third.
    assert (trial["both_right"] + trial["lost"]) / trial["examples"] > 0.8
    manifest = verify_bundle(shapes / "out.provisional")
    assert manifest.interface.task == "zero-shot-image-classification"
    assert manifest.interface.labels == SHAPES
    # The text side stays behind: no tokenizer, and the graph is smaller than the weights were.
    assert manifest.deployed == ("model/model.onnx",)
    graph = (shapes / "out.provisional" / "model" / "model.onnx").stat().st_size
    assert graph < (shapes / "model" / "model.safetensors").stat().st_size * 0.8


def test_run_names_the_shape(invoke: Invoke, classifier_build: Done, shapes: Path) -> None:
    assert classifier_build.code == 3
    right = 0
    for shape in SHAPES:
        for path in sorted((shapes / "data" / shape).iterdir())[:5]:
            (answer,) = invoke("run", shapes / "out.provisional", "--image", path, "--json").json
            assert sum(answer["scores"].values()) == pytest.approx(1.0)
            right += answer["label"] == shape
    assert right >= 12


def test_verify_asks_the_stored_images_again(
    invoke: Invoke, classifier_build: Done, shapes: Path
) -> None:
    built = classifier_build.json["gate"]["trial"]
    again = invoke("verify", shapes / "out.provisional", "--proxy", "--json").json
    assert again["accuracy"]["trial"]["lost"] == built["lost"]


def test_what_runs_says_what_transformers_says(classifier_build: Done, shapes: Path) -> None:
    import torch
    import transformers
    from PIL import Image

    from deployopt.device.run import Predictor

    assert classifier_build.code == 3
    model = transformers.CLIPModel.from_pretrained(shapes / "model").eval()
    processor = transformers.AutoImageProcessor.from_pretrained(shapes / "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(shapes / "model")
    paths = sorted((shapes / "data" / "circle").iterdir())[:8]
    texts = [f"a photo of a {shape}" for shape in SHAPES] + list(SHAPES)
    with torch.inference_mode():
        images = processor(images=[Image.open(one) for one in paths], return_tensors="pt")
        answer = model(**images, **tokenizer(texts, padding=True, return_tensors="pt"))
        named = answer.text_embeds.reshape(2, len(SHAPES), -1).mean(dim=0)
        named = named / named.norm(dim=-1, keepdim=True)
        logits = answer.image_embeds @ named.T * model.logit_scale.exp()
        wanted = logits.softmax(dim=-1).numpy()
    found = Predictor.open(shapes / "out.provisional").predict(paths)
    scores = np.asarray([list(one.scores.values()) for one in found])
    # The bundle may hold int8, whose shares differ a little; which is greatest does not.
    assert np.abs(scores - wanted).max() < 0.2
    assert (scores.argmax(axis=1) == wanted.argmax(axis=1)).all()


def test_without_labels_or_with_wrong_ones_the_way_is_told(
    invoke: Invoke, shapes: Path, tmp_path: Path
) -> None:
    long = tmp_path / "labels.txt"
    long.write_text("circle\n" + "large " * 40 + "\n")
    done = invoke(
        "build", "-t", "rpi4", "-m", shapes / "model", "-d", shapes / "data", "--labels", long,
        "-o", tmp_path / "out", "--store", shapes / "store",
    )  # fmt: skip
    assert done.code == 2
    assert "line 2" in done.paragraph
    assert "42 tokens, and the model's text tower reads 16 at most" in done.paragraph


def test_plan_knows_the_image_tower_alone(invoke: Invoke, shapes: Path) -> None:
    both, one = (
        invoke("plan", "-t", "rpi4", "-m", shapes / "model", "--json", *more).json["plan"]
        for more in ((), ("--labels", shapes / "labels.csv"))
    )
    assert [way["recipe"] for way in both["forecasts"]] == ["float", "int8"]
    sizes = [plan["forecasts"][0]["estimates"]["artifact_size"]["value"] for plan in (both, one)]
    assert sizes[1] < 0.9 * sizes[0]


@pytest.fixture(scope="module")
def pair_build(invoke: Invoke, shapes: Path) -> Done:
    return invoke(
        "build", "-t", "rpi4", "-m", shapes / "model", "-d", shapes / "pairs", "-o",
        shapes / "both", "--store", shapes / "store", "-b", "recall_drop=5pt", "--json",
    )  # fmt: skip


def test_both_towers_are_judged_by_their_recall(pair_build: Done, shapes: Path) -> None:
    found = pair_build.json
    check_schema("build-result", found)
    assert found["verdict"]["provisional"] is True, pair_build.err
    checks = {check["metric"]: check for check in found["verdict"]["checks"]}
    assert "accuracy_drop" not in checks
    drop = checks["recall_drop"]
    assert drop["outcome"] == "accepted"
    assert abs(drop["observed"]) < 0.02
    assert drop["observed"] < drop["upper"] < 0.05
    assert "image to text" in drop["reason"]
    recall = found["gate"]["trial"]["recall"]
    # Of 192 captions chance finds one.
    assert recall["reference"] > 0.4
    assert len(recall["pulls"]) == found["gate"]["trial"]["examples"]
    manifest = verify_bundle(shapes / "both.provisional")
    assert manifest.interface.pairs
    assert manifest.deployed == ("model/model.onnx", "tokenizer.json")


def test_run_says_which_text_fits(invoke: Invoke, pair_build: Done, shapes: Path) -> None:
    assert pair_build.code == 3
    lines = (shapes / "pairs" / "captions.jsonl").read_text().splitlines()
    right = 0
    for line in map(json.loads, lines[:8]):
        others = ["a small red circle at the top left", "a large blue square at the top right"]
        texts = [one for one in others if one != line["caption"]] + [line["caption"]]
        image = shapes / "pairs" / line["image"]
        (answer,) = invoke("run", shapes / "both.provisional", "--image", image, *texts,
            "--json").json  # fmt: skip
        assert sum(answer["scores"].values()) == pytest.approx(1.0)
        right += answer["label"] == line["caption"]
    assert right >= 6
    told = invoke("run", shapes / "both.provisional", "--image", image, *texts).out.splitlines()
    assert [line.split()[0] for line in told] == sorted(
        (line.split()[0] for line in told), reverse=True
    )
    alone = invoke("run", shapes / "both.provisional", "--image", image, "a circle")
    assert alone.code == 2
    assert "two texts or more" in alone.paragraph


def test_verify_asks_the_stored_pairs_again(invoke: Invoke, pair_build: Done, shapes: Path) -> None:
    built = pair_build.json["gate"]["trial"]["recall"]
    done = invoke("verify", shapes / "both.provisional", "--proxy", "--json")
    check_schema("verify-result", done.json)
    again = done.json["accuracy"]["trial"]["recall"]
    assert again["candidate"] == pytest.approx(built["candidate"])
    assert again["reference"] == pytest.approx(built["reference"])


def test_a_bundle_of_both_towers_is_compared_by_recall(
    invoke: Invoke, pair_build: Done, shapes: Path
) -> None:
    assert pair_build.code == 3
    bundle = shapes / "both.provisional"
    done = invoke("compare", bundle, bundle, "--proxy", "--json")
    check_schema("compare-result", done.json)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("export", "both.provisional", "served", "--as", "triton"), "again with --labels"),
        (("serve", "both.provisional", "--port", "0"), "is a classifier that can be served"),
    ],
)
def test_what_takes_one_input_is_told(
    invoke: Invoke, pair_build: Done, shapes: Path, words: tuple[str, ...], why: str
) -> None:
    assert pair_build.code == 3
    command, bundle, *rest = words
    refused = invoke(command, shapes / bundle, *rest)
    assert refused.code == 2
    assert why in refused.paragraph


def test_labels_are_no_budget_of_both_towers(invoke: Invoke, shapes: Path, tmp_path: Path) -> None:
    done = invoke(
        "build", "-t", "rpi4", "-m", shapes / "model", "-d", shapes / "pairs", "-o",
        tmp_path / "wrong", "--store", shapes / "store", "-b", "accuracy_drop=1pt",
    )  # fmt: skip
    assert done.code == 2
    assert "accuracy_drop cannot be judged of an image-text model" in done.paragraph
    assert "recall_drop" in done.paragraph


def test_classes_are_no_captions(invoke: Invoke, shapes: Path, tmp_path: Path) -> None:
    done = invoke(
        "build", "-t", "rpi4", "-m", shapes / "model", "-d", shapes / "data", "-o",
        tmp_path / "wrong", "--store", shapes / "store",
    )  # fmt: skip
    assert done.code == 2
    assert "--labels" in done.paragraph


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_the_graph_says_what_torch_says_of_any_number_of_each(
    tmp_path: Path, shapes: Path, exporter: Literal["torchscript", "dynamo"]
) -> None:
    import onnxruntime

    folder = shapes / "model"
    interface = read_folder(folder).interface
    path = tmp_path / "model.onnx"
    opset = 17 if exporter == "torchscript" else 18
    options = ExportOptions(opset=opset, exporter=exporter, attach=attach_weights)
    assert export_folder(folder, interface, path, options) < 1e-4
    session = onnxruntime.InferenceSession(path)
    random = np.random.default_rng(0)
    feed = {
        "pixel_values": random.standard_normal((1, 3, 32, 32)).astype(np.float32),
        "input_ids": np.array([[0, 90, 1, 1], [0, 40, 50, 1], [0, 41, 1, 1]]),
        "attention_mask": np.array([[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 0]]),
    }
    shapes_found = [array.shape for array in session.run(list(interface.outputs), feed)]
    assert shapes_found == [(1, 24), (3, 24), (1, 3)]
