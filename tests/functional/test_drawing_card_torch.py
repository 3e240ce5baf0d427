"""Models that draw, built for a card that is not here: a tiny Stable Diffusion, three graphs."""

import json
from pathlib import Path

import pytest

pytest.importorskip("diffusers")
from deployopt.core.drawing import GRAPHS
from deployopt.store.verifying import verify_bundle
from tests.fakes.drawing import write_pipeline, write_prompts
from tests.functional.conftest import Done, Invoke, check_schema

pytestmark = [pytest.mark.torch, pytest.mark.slow]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and prompts."""
    folder = tmp_path_factory.mktemp("drawing-card")
    write_pipeline(folder / "model")
    write_prompts(folder / "prompts.txt")
    return folder


@pytest.fixture(scope="module")
def card_build(invoke: Invoke, place: Path) -> Done:
    return invoke(
        "build", "-t", "rtx3060", "-m", place / "model", "-d", place / "prompts.txt",
        "-o", place / "card", "--store", place / "store", "-b", "accuracy_drop=20pt",
        "-b", "latency_p95=60s", "--json",
    )  # fmt: skip


@pytest.fixture(scope="module")
def card_bundle(card_build: Done) -> Path:
    return Path(card_build.json["bundle"])


def test_for_a_card_three_graphs_are_built_and_nothing_is_timed(card_build: Done) -> None:
    found = card_build.json
    check_schema("build-result", found)
    assert card_build.code == found["exit_code"] == 3, card_build.err
    tried = {one["recipe"]: one for one in found["candidates"]}
    assert {name: one["precision"] for name, one in tried.items()} == {
        "float": "fp32",
        "fp16": "fp16",
    }
    for one in tried.values():
        assert (one["failure"], one["latency"], one["engine"]) == (None, None, None)
        assert (one["card"]["ran"], one["card"]["compute_capability"]) == (False, "8.6")
        assert {"latency_p95", "memory_peak"} <= set(one["predicted"])
        # Nothing but rounding is between the graphs and the model as it came.
        assert one["accuracy"]["trial"]["drift"]["worst"] < 0.02
    assert (
        tried["fp16"]["predicted"]["latency_p95"]["value"]
        < (tried["float"]["predicted"]["latency_p95"]["value"])
    )
    assert any("work out angles stay float32" in note for note in tried["fp16"]["card"]["notes"])
    assert tried["fp16"]["chosen"]
    checks = {check["metric"]: check for check in found["verdict"]["checks"]}
    assert {name: check["evidence"] for name, check in checks.items()} == {
        "accuracy_drop": "measured:proxy",
        "artifact_size": "exact",
        "latency_p95": "predicted",
        "memory_peak": "predicted",
    }
    assert found["verdict"]["provisional"] is True
    assert "it has not run on a card" in checks["accuracy_drop"]["reason"]
    assert "onnxruntime-gpu" in found["install"]
    assert found["settle"] == "deployopt verify card.provisional"
    said = " ".join(found["warnings"])
    assert "Images differ" in said
    # What each graph took on this CPU is no share of the card's time.
    assert "Of an image's time" not in said


def test_a_cards_bundle_holds_the_three_graphs(card_bundle: Path) -> None:
    manifest = verify_bundle(card_bundle)
    assert (manifest.runtime, manifest.model) == ("onnxruntime", "model/drawing.json")
    assert manifest.deployed == (
        "model/drawing.json", *(f"model/{name}" for name in GRAPHS), "tokenizer.json"
    )  # fmt: skip
    told = json.loads((card_bundle / "manifest.json").read_bytes())
    assert told["card"] | {"version": ""} == {
        "provider": "cuda",
        "compute_capability": "8.6",
        "runtime": "onnxruntime-gpu",
        "version": "",
        "ran": False,
    }
    assert told["session"] == {"disabled_optimizers": [], "config_entries": {}}
    steps = json.loads((card_bundle / "lineage.json").read_bytes())["steps"]
    assert [one["step"] for one in steps] == [
        "export-pipeline", "halve-pipeline", "open-pipeline-on-card"
    ]  # fmt: skip


def test_a_machine_without_the_card_draws_nothing_in_its_name(
    invoke: Invoke, card_bundle: Path, tmp_path: Path
) -> None:
    done = invoke("verify", card_bundle)
    assert done.code == 2
    assert "has not run yet" in done.paragraph
    assert "add --proxy" in done.paragraph
    assert not (card_bundle / "verifications").exists()
    drawn = invoke("run", card_bundle, "a cat", "-o", tmp_path / "cat.png")
    assert drawn.code == 5
    assert "graph for an NVIDIA card (CUDAExecutionProvider)" in drawn.paragraph
    assert not (tmp_path / "cat.png").exists()


def test_a_proxy_draws_the_same_images_and_times_nothing(
    invoke: Invoke, card_bundle: Path, card_build: Done
) -> None:
    done = invoke("verify", card_bundle, "--proxy", "--json")
    assert done.code == 3, done.err
    check_schema("verify-result", done.json)
    found = done.json
    assert (found["on_target"], found["latency"], found["memory"]) == (False, None, None)
    again = found["accuracy"]["trial"]
    assert again["stand_in"].startswith("the same graph, in ONNX Runtime on this machine's CPU")
    assert again["lost"] == card_build.json["gate"]["trial"]["lost"]
    checks = {check["metric"]: check["evidence"] for check in found["verdict"]["checks"]}
    assert checks["accuracy_drop"] == "measured:proxy"
    assert checks["latency_p95"] == "predicted"


@pytest.mark.gpu
def test_on_the_card_it_is_built_timed_and_drawn(
    invoke: Invoke, place: Path, tmp_path: Path
) -> None:
    """The machine's own target: what is built here runs here, every part of it on the card."""
    target = tmp_path / "own.toml"
    target.write_text(invoke("detect").out, "utf-8")
    done = invoke(
        "build", "-t", target, "-m", place / "model", "-d", place / "prompts.txt",
        "-o", tmp_path / "own", "--store", place / "store", "-b", "accuracy_drop=20pt",
        "-b", "latency_p95=60s", "--json",
    )  # fmt: skip
    assert done.code in {0, 3}, done.err
    assert all(one["latency"] is not None for one in done.json["candidates"])
    verified = invoke("verify", done.json["bundle"], "--json")
    assert verified.json["on_target"] is True
    assert verified.json["memory"] is not None
    output = tmp_path / "cat.png"
    assert invoke("run", done.json["bundle"], "a cat", "-o", output).code == 0
    assert output.read_bytes().startswith(b"\x89PNG")
