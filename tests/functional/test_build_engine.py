"""Engines for cards that are not here: built, inspected, packed, and said not to have run."""

import json
from pathlib import Path

import pytest

from deployopt.core.codec import decode_json
from deployopt.core.engine import EngineListing
from deployopt.store.verifying import verify_bundle
from tests.fakes import models
from tests.fakes.spoilt_layers import WIDTH, loud_channel, spoilt_model
from tests.functional.conftest import Done, Invoke, check_schema

pytest.importorskip("tensorrt_rtx")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def conv(shelf: Path) -> Path:
    return models.write_conv(shelf / "conv.onnx")


@pytest.fixture(scope="module")
def pictures(shelf: Path) -> Path:
    return models.write_arrays(shelf / "pictures.npz", 3, models.SIDE, models.SIDE)


def build(invoke: Invoke, shelf: Path, target: str, model: Path, data: Path) -> Done:
    return invoke(
        "build", "-t", target, "-m", model, "-d", data, "-o", shelf / f"{model.stem}-{target}",
        "--store", shelf / "store", "-b", "accuracy_drop=20pt", "--json",
    )  # fmt: skip


@pytest.fixture(scope="module")
def built(invoke: Invoke, shelf: Path, conv: Path, pictures: Path) -> Done:
    return build(invoke, shelf, "rtx3060", conv, pictures)


@pytest.fixture(scope="module")
def bundle(built: Done) -> Path:
    return Path(built.json["bundle"])


def test_a_card_with_float8_gets_layers_of_it_and_keeps_its_answers(
    invoke: Invoke, shelf: Path, conv: Path, pictures: Path
) -> None:
    found = build(invoke, shelf, "rtx4090", conv, pictures).json
    tried = {one["recipe"]: one for one in found["candidates"]}
    assert list(tried) == ["float", "fp16", "fp8", "int8"]
    assert tried["fp8"]["precision"] == "fp8"
    assert tried["fp8"]["engine"]["precisions"]["fp8"] > 0
    assert tried["fp8"]["failure"] is None
    assert tried["fp8"]["accuracy"]["loss"]["value"] < 0.05


def test_three_forms_are_built_and_nothing_is_timed(built: Done) -> None:
    found = built.json
    check_schema("build-result", found)
    tried = {one["recipe"]: one for one in found["candidates"]}
    assert {name: one["precision"] for name, one in tried.items()} == {
        "float": "fp32",
        "fp16": "fp16",
        "int8": "int8",
    }
    assert all(one["failure"] is None and one["latency"] is None for one in tried.values())
    assert all(one["engine"]["ran"] is False for one in tried.values())
    assert "fp16" not in tried["float"]["engine"]["precisions"]
    assert tried["fp16"]["engine"]["precisions"]["fp16"] > 0
    assert tried["int8"]["engine"]["precisions"]["int8"] > 0


def test_the_verdict_is_provisional_and_owns_up_to_a_stand_in(built: Done) -> None:
    found = built.json
    assert built.code == found["exit_code"] == 3
    checks = {check["metric"]: check for check in found["verdict"]["checks"]}
    assert {name: check["evidence"] for name, check in checks.items()} == {
        "accuracy_drop": "measured:proxy",
        "artifact_size": "exact",
        "latency_p95": "predicted",
        "memory_peak": "predicted",
    }
    assert found["verdict"]["provisional"] is True
    assert "the engine itself has not run" in checks["accuracy_drop"]["reason"]
    assert "Engine for SM86" in built.err


def test_the_bundle_holds_engine_graph_and_listing(bundle: Path) -> None:
    manifest = verify_bundle(bundle)
    assert bundle.name == "conv-rtx3060.provisional"
    assert manifest.runtime == "tensorrt-rtx"
    assert manifest.model == "model/model.engine"
    assert manifest.deployed == ("model/engine.json", "model/model.engine")
    listed = {entry.path: entry.sha256 for entry in manifest.files}
    assert "source/model.onnx" in listed
    told = json.loads((bundle / "manifest.json").read_bytes())["engine"]
    assert told["ran"] is False
    assert told["compute_capability"] == "8.6"
    assert told["sha256"] == listed["model/model.engine"]
    listing = decode_json(
        (bundle / "model/engine.json").read_bytes(), EngineListing, where="engine.json"
    )
    assert listing.layers
    assert listing.options.profile[0].most == (1, 3, models.SIDE, models.SIDE)
    steps = json.loads((bundle / "lineage.json").read_bytes())["steps"]
    assert steps[-1]["step"] == "build-engine"
    assert steps[-1]["tools"]["tensorrt-rtx-cu13"] == listing.version


def test_accuracy_alone_accepts_no_engine(
    invoke: Invoke, shelf: Path, conv: Path, pictures: Path, tmp_path: Path
) -> None:
    text = models.write_target(tmp_path / "card.toml", provider="cuda").read_text("utf-8")
    card = '[hardware.gpu]\nmodel = "A card"\ncompute_capability = "8.6"\n\n[hardware.peak]'
    only = text.split("[budgets]")[0].replace("[hardware.peak]", card)
    only += '[budgets]\naccuracy_drop = "20 pt"\nartifact_size = "10 MiB"\n'
    target = tmp_path / "card.toml"
    target.write_text(only, "utf-8")
    done = invoke(
        "build", "-t", target, "-m", conv, "-d", pictures, "-o", tmp_path / "only", "--store",
        shelf / "store", "--json",
    )  # fmt: skip
    assert (done.code, done.json["verdict"]["provisional"]) == (3, True), done.err
    assert not (tmp_path / "only").exists()


def test_a_machine_without_the_card_says_so_and_opens_nothing(invoke: Invoke, bundle: Path) -> None:
    for words in (("verify", bundle), ("verify", bundle, "--proxy")):
        done = invoke(*words)
        assert done.code == 2
        assert "has not run yet; it is opened on that card only" in done.paragraph
    assert not (bundle / "verifications").exists()


def test_the_same_build_gives_the_same_bundle(
    invoke: Invoke, built: Done, conv: Path, pictures: Path, tmp_path: Path
) -> None:
    again = build(invoke, tmp_path, "rtx3060", conv, pictures)
    assert again.json["bundle_digest"] == built.json["bundle_digest"]


def test_a_server_card(invoke: Invoke, shelf: Path, mlp: Path, arrays: Path) -> None:
    done = build(invoke, shelf, "a100", mlp, arrays)
    assert done.code == 3, done.err
    assert done.json["verdict"]["provisional"] is True
    assert {one["engine"]["compute_capability"] for one in done.json["candidates"]} == {"8.0"}


def test_nodes_that_stay_in_float32_are_named(invoke: Invoke, arrays: Path, tmp_path: Path) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(models.write_mlp(tmp_path / "swollen.onnx"))
    for node, name in zip(model.graph.node, ("block/grow", "block/relu", "head"), strict=True):
        node.name = name
    first, second = model.graph.initializer
    for tensor, factor in ((first, 2e4), (second, 5e-5)):
        values = numpy_helper.to_array(tensor) * factor
        tensor.CopyFrom(numpy_helper.from_array(values.astype("float32"), tensor.name))
    onnx.save(model, tmp_path / "swollen.onnx")
    done = build(invoke, tmp_path, "rtx3060", tmp_path / "swollen.onnx", arrays)
    tried = {one["recipe"]: one["engine"] for one in done.json["candidates"]}
    (note,) = tried["fp16"]["notes"]
    assert "3 of 3 nodes stay float32 ('block/grow', 'block/relu', 'head')" in note
    assert "fp32" in tried["fp16"]["precisions"]
    assert "3 of 3 nodes stay float32" in done.paragraph


def test_a_graph_with_unsigned_points_is_refused_by_name(
    invoke: Invoke, shelf: Path, mlp_build: Done, arrays: Path, tmp_path: Path
) -> None:
    assert mlp_build.code in {0, 3}
    import onnxruntime.quantization as tools

    source, model = shelf / "mlp.onnx", tmp_path / "dynamic.onnx"
    tools.quantize_dynamic(source, model)
    done = build(invoke, tmp_path, "rtx3060", model, arrays)
    assert done.code == 5
    assert "DynamicQuantizeLinear" in done.paragraph
    assert "Give the float model" in done.paragraph
    assert not list(tmp_path.glob("dynamic-*"))


def test_a_layer_that_int8_spoils_goes_back_to_float(invoke: Invoke, tmp_path: Path) -> None:
    model = tmp_path / "loud.onnx"
    model.write_bytes(spoilt_model(loud_channel).SerializeToString())
    data = models.write_arrays(tmp_path / "rows.npz", WIDTH)
    done = build(invoke, tmp_path, "rtx3060", model, data)
    assert done.code == 3, done.err
    tried = {one["recipe"]: one for one in done.json["candidates"]}
    mended = next(name for name in tried if name.startswith("int8, ") and "float" in name)
    lost = {name: one["accuracy"]["loss"]["value"] for name, one in tried.items()}
    assert lost[mended] < lost["int8"]
    assert tried[mended]["engine"]["precisions"]["int8"] > 0
    kept = [
        layer["name"].partition("/")[0]
        for layer in done.json["search"]["layers"]
        if layer["kept_float"]
    ]
    assert "l2" in kept


def test_int8_is_not_mended_where_float8_holds(invoke: Invoke, tmp_path: Path) -> None:
    model = tmp_path / "loud.onnx"
    model.write_bytes(spoilt_model(loud_channel).SerializeToString())
    data = models.write_arrays(tmp_path / "rows.npz", WIDTH)
    done = build(invoke, tmp_path, "rtx4090", model, data)
    tried = {one["recipe"]: one for one in done.json["candidates"]}
    assert list(tried) == ["float", "fp16", "fp8", "int8"]
    assert tried["fp8"]["accuracy"]["loss"]["value"] < tried["int8"]["accuracy"]["loss"]["value"]


@pytest.mark.torch
def test_a_text_model(invoke: Invoke, shelf: Path, text_model: Path, texts: Path) -> None:
    done = build(invoke, shelf, "rtx3060", text_model, texts)
    assert done.code == 3, done.err
    assert done.json["verdict"]["provisional"] is True
    profile = done.json["candidates"][0]["engine"]["profile"]
    assert {one["name"]: one["most"] for one in profile} == {
        "input_ids": [1, 48],
        "attention_mask": [1, 48],
    }
