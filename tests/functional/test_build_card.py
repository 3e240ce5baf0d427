"""Graphs for a card that is not here: built, judged by proxy, packed, and said not to have run."""

import json
from pathlib import Path

import msgspec
import pytest

from deployopt.core.codec import decode_json
from deployopt.core.target import Target
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.plans import plan_for
from deployopt.store.verifying import verify_bundle
from tests.fakes import models
from tests.fakes.plans import CARD, builder_here
from tests.fakes.spoilt_layers import WIDTH, large_values, spoilt_model
from tests.functional.conftest import Done, Invoke, check_schema

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def conv(shelf: Path) -> Path:
    return models.write_conv(shelf / "conv.onnx")


@pytest.fixture(scope="module")
def pictures(shelf: Path) -> Path:
    return models.write_arrays(shelf / "pictures.npz", 3, models.SIDE, models.SIDE)


def build(invoke: Invoke, shelf: Path, target: str, model: Path, data: Path, *more: str) -> Done:
    return invoke(
        "build", "-t", target, "-m", model, "-d", data, "-o", shelf / f"{model.stem}-{target}",
        "--store", shelf / "store", "-b", "accuracy_drop=20pt", *more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def built(invoke: Invoke, shelf: Path, conv: Path, pictures: Path) -> Done:
    return build(invoke, shelf, "h100", conv, pictures, "--json")


@pytest.fixture(scope="module")
def bundle(built: Done) -> Path:
    return Path(built.json["bundle"])


def test_fp32_and_fp16_are_built_and_nothing_is_timed(built: Done) -> None:
    found = built.json
    check_schema("build-result", found)
    tried = {one["recipe"]: one for one in found["candidates"]}
    assert {name: one["precision"] for name, one in tried.items()} == {
        "float": "fp32",
        "fp16": "fp16",
    }
    for one in tried.values():
        assert (one["failure"], one["latency"], one["engine"]) == (None, None, None)
        assert (one["card"]["ran"], one["card"]["compute_capability"]) == (False, "9.0")
        assert {"latency_p95", "memory_peak"} <= set(one["predicted"])


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
    assert "it has not run on a card" in checks["accuracy_drop"]["reason"]
    assert "On the card: predicted, run nowhere yet (SM90)" in built.err
    assert "onnxruntime-gpu" in found["install"]
    assert found["settle"] == "deployopt verify conv-h100.provisional"


def test_the_bundle_holds_a_graph_for_cuda(bundle: Path) -> None:
    manifest = verify_bundle(bundle)
    assert bundle.name == "conv-h100.provisional"
    assert (manifest.runtime, manifest.model) == ("onnxruntime", "model/model.onnx")
    told = json.loads((bundle / "manifest.json").read_bytes())
    assert told["card"] | {"version": ""} == {
        "provider": "cuda",
        "compute_capability": "9.0",
        "runtime": "onnxruntime-gpu",
        "version": "",
        "ran": False,
    }
    # All arrays are of one shape, so that a request may be launched as one CUDA graph.
    assert told["session"] == {
        "disabled_optimizers": [],
        "config_entries": {},
        "capture": True,
    }
    target = decode_json((bundle / "target.json").read_bytes(), Target, where="target.json")
    assert target.runtime.provider == "cuda"
    steps = json.loads((bundle / "lineage.json").read_bytes())["steps"]
    assert steps[-1]["step"] == "open-on-card"
    page = (bundle / "report.html").read_text("utf-8")
    assert "run nowhere yet" in page
    assert "pip install" in page


def test_a_script_may_take_it_as_predicted(
    invoke: Invoke, shelf: Path, conv: Path, pictures: Path, built: Done
) -> None:
    done = build(invoke, shelf, "h100", conv, pictures, "--accept-predicted", "--json")
    assert done.code == 0
    assert done.json["bundle_digest"] == built.json["bundle_digest"]


def test_a_machine_without_the_card_says_so_and_measures_nothing(
    invoke: Invoke, bundle: Path
) -> None:
    for words in (("verify", bundle), ("verify", bundle, "--proxy")):
        done = invoke(*words)
        assert done.code == 2
        assert "Its graph was built without the card and has not run yet" in done.paragraph
        assert "it is opened on that card only" in done.paragraph
    assert not (bundle / "verifications").exists()


def test_nothing_is_answered_by_a_cpu_in_a_cards_name(
    invoke: Invoke, bundle: Path, pictures: Path
) -> None:
    done = invoke("run", bundle, pictures)
    assert done.code == 5
    assert "graph for an NVIDIA card (CUDAExecutionProvider)" in done.paragraph
    assert "libcuda.so.1" in done.paragraph


def test_tensorrt_gets_int8_and_its_shapes(
    invoke: Invoke, shelf: Path, conv: Path, pictures: Path
) -> None:
    words = ("--runtime", "onnxruntime-tensorrt", "--json")
    done = build(invoke, shelf / "tensorrt", "rtx3060", conv, pictures, *words)
    assert done.code == 3, done.err
    tried = {one["recipe"]: one for one in done.json["candidates"]}
    assert {name: one["precision"] for name, one in tried.items()} == {
        "float": "fp32",
        "fp16": "fp16",
        "int8": "int8",
    }
    manifest = verify_bundle(Path(done.json["bundle"]))
    assert manifest.session.config_entries == {"session.disable_quant_qdq": "1"}
    profile = manifest.session.profile
    assert isinstance(profile, tuple)
    (one,) = profile
    assert one.most == (1, 3, models.SIDE, models.SIDE)


@pytest.fixture(scope="module")
def planned(invoke: Invoke, shelf: Path, conv: Path, pictures: Path) -> Done:
    words = ("--runtime", "tensorrt", "--json")
    return build(invoke, shelf / "plan", "a100", conv, pictures, *words)


def test_tensorrt_itself_gets_the_same_graphs(planned: Done) -> None:
    found = planned.json
    assert planned.code == 3, planned.err
    check_schema("build-result", found)
    tried = {one["recipe"]: one for one in found["candidates"]}
    assert {name: one["precision"] for name, one in tried.items()} == {
        "float": "fp32",
        "fp16": "fp16",
        "int8": "int8",
    }
    assert "pip install tensorrt-cu13" in found["install"]
    bundle = Path(found["bundle"])
    manifest = verify_bundle(bundle)
    assert (manifest.runtime, manifest.model) == ("tensorrt", "model/model.onnx")
    assert manifest.session.config_entries == {}
    assert isinstance(manifest.session.profile, tuple)
    card = json.loads((bundle / "manifest.json").read_bytes())["card"]
    assert (card["provider"], card["runtime"], card["ran"]) == ("tensorrt-plan", "tensorrt", False)


@pytest.mark.parametrize(
    ("runtime", "longer", "chosen"),
    [
        ("tensorrt-rtx", ["bf16", "tf32"], "tf32"),
        ("tensorrt", ["bf16", "tf32"], "tf32"),
        ("onnxruntime", ["tf32"], "fp16"),
    ],
)
def test_where_float16_does_not_do_longer_floats_are_tried(
    invoke: Invoke, tmp_path: Path, runtime: str, longer: list[str], chosen: str
) -> None:
    if runtime == "tensorrt-rtx":
        pytest.importorskip("tensorrt_rtx")
    model = tmp_path / "large.onnx"
    model.write_bytes(spoilt_model(large_values).SerializeToString())
    data = models.write_arrays(tmp_path / "rows.npz", WIDTH)
    done = build(invoke, tmp_path, "a100", model, data, "--runtime", runtime, "--json")
    tried = {one["recipe"]: one for one in done.json["candidates"]}
    assert tried["fp16"]["precision"] == "mixed"
    assert [name for name in tried if name in {"bf16", "tf32"}] == longer
    for name in longer:
        assert tried[name]["precision"] == name
        assert tried[name]["accuracy"]["loss"]["value"] < 0.02
    if runtime == "tensorrt-rtx":
        assert tried["bf16"]["engine"]["precisions"]["bf16"] > 0
    assert [name for name, one in tried.items() if one["chosen"]] == [chosen]
    manifest = json.loads((Path(done.json["bundle"]) / "manifest.json").read_bytes())
    rounded = chosen == "tf32"
    assert ("source/asked.onnx" in [one["path"] for one in manifest["files"]]) is rounded
    assert not any("asked" in path for path in manifest["deployed"])
    assert manifest["session"].get("tf32", False) is (rounded and runtime == "tensorrt")
    (accuracy,) = [c for c in done.json["verdict"]["checks"] if c["metric"] == "accuracy_drop"]
    assert ("a float32 graph that rounds as the card does" in accuracy["reason"]) is rounded


def test_a_plan_is_built_on_the_card_only(invoke: Invoke, planned: Done, pictures: Path) -> None:
    bundle = planned.json["bundle"]
    for words in (("verify", bundle), ("verify", bundle, "--proxy")):
        done = invoke(*words)
        assert done.code == 2
        assert "it is opened on that card only" in done.paragraph
    done = invoke("run", bundle, pictures)
    assert done.code == 5
    assert "TensorRT builds for the card that it runs on" in done.paragraph
    assert "libcuda.so.1" in done.paragraph


def test_its_graph_is_one_that_the_builder_takes(
    planned: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By TensorRT for RTX in TensorRT's place, for a card that is not here."""
    library = pytest.importorskip("tensorrt_rtx")
    builder_here(monkeypatch)
    setup = open_bundle(Path(planned.json["bundle"])).setup
    assert (setup.runtime, setup.provider) == ("tensorrt", "tensorrt-plan")
    kept = msgspec.structs.replace(setup, engines=tmp_path / "engines")
    plan = plan_for(kept, library.__version__, CARD)
    assert plan.listing.options.profile == setup.session.profile
    assert plan.listing.engine_bytes == len(plan.data)
    assert [one.name for one in plan.listing.outputs] == list(setup.outputs)


@pytest.mark.parametrize("target", ["a100", "jetson-orin-nano"])
def test_other_cards(invoke: Invoke, shelf: Path, conv: Path, pictures: Path, target: str) -> None:
    done = build(invoke, shelf, target, conv, pictures, "--runtime", "onnxruntime", "--json")
    assert done.code == 3, done.err
    assert {one["recipe"] for one in done.json["candidates"]} == {"float", "fp16"}


def test_a_plan_says_the_same(invoke: Invoke, conv: Path, pictures: Path, shelf: Path) -> None:
    done = invoke(
        "plan", "-t", "h100", "-m", conv, "-d", pictures, "--store", shelf / "store", "--json"
    )
    assert done.code == 0
    assert {one["recipe"] for one in done.json["plan"]["forecasts"]} == {"float", "fp16"}
    assert not any("would not start" in words for words in done.json["warnings"])


@pytest.mark.gpu
@pytest.mark.parametrize("runtime", ["onnxruntime", "tensorrt"])
def test_on_the_card_it_is_built_and_verified(
    invoke: Invoke, tmp_path: Path, conv: Path, pictures: Path, runtime: str
) -> None:
    """The machine's own target: what is built here runs here."""
    pytest.importorskip(runtime)
    own = invoke("detect").out
    target = tmp_path / "own.toml"
    target.write_text(own, "utf-8")
    done = build(invoke, tmp_path, str(target), conv, pictures, "--runtime", runtime, "--json")
    assert done.code in {0, 3}, done.err
    assert all(one["latency"] is not None for one in done.json["candidates"])
    verified = invoke("verify", done.json["bundle"], "--json")
    assert verified.json["on_target"] is True
    assert verified.json["memory"] is not None
