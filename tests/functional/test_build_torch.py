"""Models in Hugging Face form and torch modules, built end to end."""

import json
import shutil
from pathlib import Path

import pytest

import deployopt
from deployopt.core.verdict import Outcome
from deployopt.store.verifying import verify_bundle
from tests.fakes import models
from tests.functional.conftest import Done, Invoke, check_schema

pytestmark = [pytest.mark.torch, pytest.mark.slow]


def test_a_board_that_is_not_at_hand_gets_a_provisional_bundle(
    text_build: Done, text_bundle: Path
) -> None:
    found = text_build.json
    check_schema("build-result", found)
    assert text_build.code == found["exit_code"] == 3
    assert found["verdict"]["provisional"] is True
    assert text_bundle.name == "pi.provisional"
    checks = {check["metric"]: check for check in found["verdict"]["checks"]}
    assert {name: check["evidence"] for name, check in checks.items()} == {
        "accuracy_drop": "measured:proxy",
        "artifact_size": "exact",
        "latency_p95": "predicted",
        "memory_peak": "predicted",
    }
    assert found["settle"] == f"deployopt verify {text_bundle.name}"
    assert "--accept-predicted" in text_build.err
    assert found["gate"]["trial"]["labelled"] is True
    right = found["gate"]["trial"]["both_right"] + found["gate"]["trial"]["lost"]
    assert right > 0.85 * found["gate"]["trial"]["examples"]


def test_its_bundle_holds_all_that_the_device_needs(text_build: Done, text_bundle: Path) -> None:
    manifest = verify_bundle(text_bundle)
    listed = {entry.path for entry in manifest.files}
    assert {"tokenizer.json", "labels.json", "gate/examples.jsonl", "gate/reference.npz"} <= listed
    assert manifest.deployed == ("model/model.onnx", "tokenizer.json")
    assert manifest.outcome == "provisional"
    assert manifest.interface.labels == models.LABELS
    assert json.loads((text_bundle / "labels.json").read_bytes()) == list(models.LABELS)
    lineage = json.loads((text_bundle / "lineage.json").read_bytes())
    assert [step["step"] for step in lineage["steps"]] == ["export", "optimize"]
    assert lineage["steps"][0]["source"] != lineage["steps"][1]["source"]
    assert lineage["steps"][0]["result"] == lineage["steps"][1]["source"]
    assert lineage["steps"][1]["result"] == manifest.artifact
    assert {file["path"] for file in lineage["model"]["files"]} >= {"config.json", "tokenizer.json"}
    counts = {"calibration": 0, "search": 0, "gate": 0} | text_build.json["data"]["splits"]
    assert min(counts.values()) > 0
    assert sum(counts.values()) <= models.TEXTS


def test_a_script_may_take_what_is_predicted(
    invoke: Invoke, text_build: Done, shelf: Path, text_model: Path, texts: Path
) -> None:
    """The same build again: no step runs, the bundle stays, and the exit code is 0."""
    done = invoke(
        "build", "-t", "rpi4", "-m", text_model, "-d", texts, "-o", shelf / "pi", "--store",
        shelf / "store", "-b", "accuracy_drop=5pt", "--json", "--accept-predicted",
    )  # fmt: skip
    assert done.code == done.json["exit_code"] == 0
    assert done.json["verdict"]["outcome"] == "undecided"
    assert done.json["bundle_digest"] == text_build.json["bundle_digest"]
    assert "PROVISIONAL" in done.err


def test_another_folder_and_store_give_the_same_bundle(
    invoke: Invoke,
    text_build: Done,
    tmp_path: Path,
    text_model: Path,
    texts: Path,
) -> None:
    done = invoke(
        "build", "-t", "rpi4", "-m", text_model, "-d", texts, "-o", tmp_path / "elsewhere",
        "--store", tmp_path / "store", "-b", "accuracy_drop=5pt", "--json",
    )  # fmt: skip
    assert done.code == 3
    steps = [step for one in done.json["candidates"] for step in one["steps"]]
    assert not steps[0]["reused"]
    assert done.json["verdict"]["artifact"] == text_build.json["verdict"]["artifact"]
    assert done.json["bundle_digest"] == text_build.json["bundle_digest"]


def test_int8_ships_where_float_is_too_large(
    invoke: Invoke, shelf: Path, tmp_path: Path, text_model: Path, texts: Path, here: Path
) -> None:
    done = invoke(
        "build", "-t", here, "-m", text_model, "-d", texts, "-o", tmp_path / "b", "--store",
        shelf / "store", "-b", "artifact_size=250KiB", "--json",
    )  # fmt: skip
    assert done.code in {0, 3}, done.err
    tried = {one["recipe"]: one for one in done.json["candidates"]}
    assert tried["int8"]["chosen"], done.err
    assert "artifact_size" in tried["float"]["why"]
    assert tried["int8"]["precision"] == "mixed" or tried["int8"]["precision"] == "int8"
    manifest = verify_bundle(Path(done.json["bundle"]))
    assert manifest.precision.value == tried["int8"]["precision"]


def test_a_model_that_guesses_is_not_accepted(
    invoke: Invoke, shelf: Path, tmp_path: Path, text_model: Path, here: Path
) -> None:
    """Labels in another order than the model's: all checks pass, and yet nobody should ship it."""
    rows = [(text, models.LABELS[1 - label]) for text, label in models.labelled_texts()]
    data = models.write_csv(tmp_path / "swapped.csv", rows)
    done = invoke(
        "build", "-t", here, "-m", text_model, "-d", data, "-o", tmp_path / "b", "--store",
        shelf / "store", "--json",
    )  # fmt: skip
    assert done.code in {1, 3}
    assert any("no better than" in reason for reason in done.json["verdict"]["reasons"])


def test_an_image_classifier_with_a_folder_of_images(
    invoke: Invoke, shelf: Path, tmp_path: Path, here: Path
) -> None:
    images = models.write_images(tmp_path / "images")
    model = models.train_image_model(tmp_path / "tiny-image", images)
    done = invoke(
        "build", "-t", here, "-m", model, "-d", images, "-o", tmp_path / "b", "--store",
        shelf / "store", "--json", "-b", "accuracy_drop=20pt",
    )  # fmt: skip
    assert done.code in {0, 3}, done.err
    tried = {one["recipe"]: one for one in done.json["candidates"]}
    assert [step["name"] for step in tried["int8"]["steps"]][-1] == "quantize-static"
    assert tried["int8"]["failure"] is None
    answered = invoke("run", done.json["bundle"], images / "red" / "1.png", "--json")
    assert answered.code == 0, answered.err
    assert answered.json[0]["label"] == "red"


@pytest.mark.usefixtures("invoke")
def test_a_torch_module_from_python(tmp_path: Path, here: Path, shelf: Path) -> None:
    import torch

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
    result = deployopt.build(
        model=module,
        example_inputs=(torch.zeros(1, 16),),
        target=here,
        budgets={"latency_p95": "1 s", "accuracy_drop": "5 pt"},
        output=tmp_path / "module",
        store=shelf / "store",
    )
    assert result.verdict is not None
    assert result.verdict.outcome in {Outcome.ACCEPTED, Outcome.UNDECIDED}
    assert result.bundle is not None
    predictor = deployopt.Bundle.open(result.bundle)
    (answer,) = predictor.predict([torch.ones(1, 16).numpy()])
    assert answer.outputs is not None
    (name,) = answer.outputs
    expected = module(torch.ones(1, 16)).tolist()
    assert answer.outputs[name][0] == pytest.approx(expected[0], abs=1e-4)


def test_a_folder_that_moved_is_the_same_model(
    invoke: Invoke, text_build: Done, shelf: Path, tmp_path: Path, text_model: Path, texts: Path
) -> None:
    """Another path is another line in the lineage; the artifact and all steps are the same."""
    moved = shutil.copytree(text_model, tmp_path / "moved")
    done = invoke(
        "build", "-t", "rpi4", "-m", moved, "-d", texts, "-o", tmp_path / "b", "--store",
        shelf / "store", "-b", "accuracy_drop=5pt", "--json",
    )  # fmt: skip
    assert done.code == 3
    assert all(step["reused"] for one in done.json["candidates"] for step in one["steps"])
    assert done.json["verdict"]["artifact"] == text_build.json["verdict"]["artifact"]
