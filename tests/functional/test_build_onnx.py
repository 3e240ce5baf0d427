"""A plain graph is built, judged and published; nothing here needs torch."""

import json
import sys
from pathlib import Path

import pytest

from deployopt.core.codec import decode_json
from deployopt.core.result import BuildResult
from deployopt.store.verifying import verify_bundle
from tests.fakes import hurried, models
from tests.functional.conftest import Done, Invoke, check_schema, outside

EVERY_BUNDLE = {
    "budgets.json", "forecast.json", "labels.json", "lineage.json", "measurements/accuracy.json",
    "measurements/latency.json", "model/model.onnx", "predictions.json", "provenance.json",
    "report.html", "report.md", "result.json", "target.json", "verdict.json",
}  # fmt: skip


def test_a_measured_build_ends_with_a_bundle(mlp_build: Done, mlp_bundle: Path) -> None:
    found = mlp_build.json
    check_schema("build-result", found)
    outcome = found["verdict"]["outcome"]
    # A shared machine may be too noisy to tell a latency; nothing else may differ.
    assert (outcome, mlp_build.code) in {("accepted", 0), ("undecided", 3)}
    assert found["exit_code"] == mlp_build.code
    assert mlp_bundle.name == ("mlp" if outcome == "accepted" else "mlp.undecided")
    checks = {check["metric"]: check for check in found["verdict"]["checks"]}
    assert checks["artifact_size"]["outcome"] == "accepted"
    assert checks["memory_peak"]["evidence"] == "measured:target"
    assert checks["latency_p95"]["evidence"] == "measured:target"
    assert checks["latency_p95"]["outcome"] in {"accepted", "undecided"}
    assert checks["accuracy_drop"]["observed"] == 0


def test_the_bundle_is_whole(mlp_build: Done, mlp_bundle: Path) -> None:
    manifest = verify_bundle(mlp_bundle)
    listed = {entry.path for entry in manifest.files}
    assert listed == EVERY_BUNDLE | {"gate/examples.npz", "gate/reference.npz"}
    assert manifest.deployed == ("model/model.onnx",)
    assert manifest.bundle_digest == mlp_build.json["bundle_digest"]
    kept = decode_json((mlp_bundle / "result.json").read_bytes(), BuildResult, where="result.json")
    assert kept.bundle_digest == manifest.bundle_digest
    lineage = json.loads((mlp_bundle / "lineage.json").read_bytes())
    assert lineage["model"]["files"][0]["path"] == "mlp.onnx"
    assert [step["step"] for step in lineage["steps"]] == ["optimize"]
    assert set(lineage["splits"]) == {"calibration", "search", "gate"}


def test_data_without_labels_is_said_to_be_so(mlp_build: Done) -> None:
    notes = " ".join(mlp_build.json["data"]["notes"])
    assert "agreement with the reference stands for accuracy" in notes
    assert mlp_build.json["data"]["labelled"] is False


def test_both_recipes_were_tried(mlp_build: Done) -> None:
    tried = {one["recipe"]: one for one in mlp_build.json["candidates"]}
    assert set(tried) == {"float", "int8"}
    assert tried["int8"]["precision"] in {"int8", "mixed"}
    assert tried["int8"]["size"]["value"] < tried["float"]["size"]["value"]
    assert [one["recipe"] for one in tried.values() if one["chosen"]] == ["float"]


@pytest.mark.slow
def test_the_same_build_elsewhere_gives_the_same_bundle(
    mlp_build: Done, tmp_path: Path, mlp: Path, arrays: Path, here: Path
) -> None:
    done = outside(
        [*hurried.COMMAND, "build", "-t", here, "-m", mlp, "-d", arrays, "-o", "other", "--store",
         "store", "--json", "--quiet"],
        tmp_path,
        {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "77", "LC_ALL": "C"},
    )  # fmt: skip
    assert done.code in {0, 3}, done.err
    assert done.json["bundle_digest"] == mlp_build.json["bundle_digest"]
    assert done.json["verdict"]["artifact"] == mlp_build.json["verdict"]["artifact"]


@pytest.mark.slow
def test_another_seed_gives_another_bundle(
    invoke: Invoke, mlp_build: Done, shelf: Path, mlp: Path, arrays: Path, here: Path
) -> None:
    done = invoke(
        "build", "-t", here, "-m", mlp, "-d", arrays, "-o", shelf / "seeded", "--store",
        shelf / "store", "--json", "--seed", 1,
    )  # fmt: skip
    assert done.code in {0, 3}
    assert done.json["bundle_digest"] != mlp_build.json["bundle_digest"]


@pytest.mark.slow
def test_a_missed_budget_is_a_verdict_and_no_bundle(
    invoke: Invoke, shelf: Path, tmp_path: Path, mlp: Path, arrays: Path, here: Path
) -> None:
    done = invoke(
        "build", "-t", here, "-m", mlp, "-d", arrays, "-o", tmp_path / "b", "--store",
        shelf / "store", "--json", "-b", "artifact_size=1KiB", "--junit", tmp_path / "junit.xml",
        "--markdown", tmp_path / "summary.md",
    )  # fmt: skip
    assert done.code == 1
    assert done.json["verdict"]["outcome"] == "rejected"
    assert done.json["bundle"] is None
    assert "artifact size" in done.err
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["b.rejected.html", "junit.xml", "summary.md"]
    assert "<failure" in (tmp_path / "junit.xml").read_text("utf-8")
    assert "rejected" in (tmp_path / "summary.md").read_text("utf-8").casefold()


@pytest.mark.slow
def test_without_data_inputs_are_made_up_and_that_is_said(
    invoke: Invoke, shelf: Path, tmp_path: Path, mlp: Path, here: Path
) -> None:
    done = invoke(
        "build", "-t", here, "-m", mlp, "-o", tmp_path / "b", "--store", shelf / "store", "--json"
    )
    assert done.code in {0, 3}
    assert "made up" in done.err
    assert any("made up" in note for note in done.json["data"]["notes"])
    lineage = json.loads((Path(done.json["bundle"]) / "lineage.json").read_bytes())
    assert lineage["data"] is None


@pytest.mark.slow
def test_static_int8_ships_where_float_is_too_large(
    invoke: Invoke, shelf: Path, tmp_path: Path, here: Path
) -> None:
    pytest.importorskip("onnx")
    model = models.write_conv(tmp_path / "conv.onnx")
    data = models.write_arrays(tmp_path / "conv.npz", 3, models.SIDE, models.SIDE)
    done = invoke(
        "build", "-t", here, "-m", model, "-d", data, "-o", tmp_path / "b", "--store",
        shelf / "store", "--json", "-b", "artifact_size=8KiB", "-b", "accuracy_drop=20pt",
    )  # fmt: skip
    assert done.code in {0, 3}
    chosen = next(one for one in done.json["candidates"] if one["chosen"])
    assert chosen["recipe"] == "int8"
    assert [step["name"] for step in chosen["steps"]] == ["optimize", "quantize-static"]
    assert done.json["gate"]["trial"]["examples"] > 100


def test_a_plan_says_what_would_be_tried_and_builds_nothing(
    invoke: Invoke, tmp_path: Path, mlp: Path, arrays: Path, here: Path
) -> None:
    done = invoke(
        "plan", "-t", here, "-m", mlp, "-d", arrays, "--store", tmp_path / "store", "--json"
    )
    check_schema("plan-result", done.json)
    assert done.code == done.json["exit_code"] == 0
    assert sorted(one["recipe"] for one in done.json["plan"]["forecasts"]) == ["float", "int8"]
    assert done.json["plan"]["gate_examples_needed"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


def test_torch_is_not_imported_for_a_graph(
    tmp_path: Path, mlp: Path, arrays: Path, here: Path
) -> None:
    code = (
        "import sys; from deployopt.cli.main import run; "
        f"code = run(['plan', '-t', {str(here)!r}, '-m', {str(mlp)!r}, '-d', {str(arrays)!r}, "
        "'--store', 'store']); "
        "print(code, sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = outside([sys.executable, "-c", code], tmp_path)
    assert done.out == "0 []\n", done.err
