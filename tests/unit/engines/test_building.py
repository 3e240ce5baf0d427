"""Real engines for named cards, built without one; what the builder refuses, in words.

TensorRT itself has no libraries in the package index and looks for its card: in its place TensorRT
for RTX stands, with the same API, as tests/fakes/at_card has it.
"""

from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper
import pytest

from deployopt.core.engine import (
    ENGINE_FILE,
    LISTING_FILE,
    TIMINGS_FILE,
    EngineOptions,
    InputRange,
)
from deployopt.core.errors import StepError
from deployopt.engines.building import (
    build_engine,
    refusal_words,
    require_memory,
)
from deployopt.engines.child import Refusal, RefusedNode
from tests.fakes import models
from tests.fakes.plans import AT_CARD, builder_here

pytest.importorskip("tensorrt_rtx")


def options(capability: str = "8.6", most: int = 4) -> EngineOptions:
    shapes = InputRange(name="x", least=(1, 16), usual=(1, 16), most=(most, 16))
    return EngineOptions(
        compute_capability=capability,
        platform="x86_64",
        profile=(shapes,),
        workspace_bytes=2**28,
    )


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def mlp(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return models.write_mlp(folder / "model.onnx", width=64)


@pytest.mark.slow
def test_an_engine_is_built_and_listed(mlp: Path, work: Path) -> None:
    listing = build_engine(mlp, work, options()).listing
    assert sorted(path.name for path in work.iterdir()) == [LISTING_FILE, ENGINE_FILE]
    assert listing.engine_bytes == (work / ENGINE_FILE).stat().st_size > 4 * 64 * 20
    assert listing.precisions.get("fp32", 0) >= 1
    assert set(listing.precisions) <= {"fp32", "other"}
    assert [one.name for one in (*listing.inputs, *listing.outputs)] == ["x", "y"]
    assert listing.inputs[0].shape == (-1, 16)
    assert listing.weights_bytes


@pytest.mark.slow
def test_the_same_order_gives_the_same_bytes_and_another_card_others(
    mlp: Path, tmp_path: Path
) -> None:
    made = []
    for name, capability in (("a", "8.6"), ("b", "8.6"), ("c", "8.0")):
        folder = tmp_path / name
        folder.mkdir()
        build_engine(mlp, folder, options(capability))
        made.append((folder / ENGINE_FILE).read_bytes())
    assert made[0] == made[1]
    assert made[0] != made[2]


@pytest.mark.slow
def test_at_the_card_a_plan_is_built_and_kernels_are_timed_once(
    mlp: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder_here(monkeypatch)
    listing = build_engine(mlp, work, options(), builder="tensorrt").listing
    assert sorted(path.name for path in work.iterdir()) == [
        LISTING_FILE,
        ENGINE_FILE,
        TIMINGS_FILE,
    ]
    assert (listing.builder, listing.options) == ("tensorrt", options())
    assert [one.name for one in (*listing.inputs, *listing.outputs)] == ["x", "y"]
    assert (work / TIMINGS_FILE).stat().st_size
    build_engine(mlp, work, options(), builder="tensorrt")
    # What is no timing cache is no reason not to build.
    (work / TIMINGS_FILE).write_bytes(b"none")
    build_engine(mlp, work, options(), builder="tensorrt")
    assert (work / TIMINGS_FILE).stat().st_size > 4


@pytest.mark.slow
def test_at_the_card_an_operator_that_is_not_taken_is_named_too(
    mlp: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder_here(monkeypatch)
    model = onnx.load(mlp)
    model.graph.node[1].op_type = "FastGelu"
    model.graph.node[1].domain = "com.microsoft"
    model.graph.node[1].name = "encoder/act"
    model.opset_import.append(make.make_opsetid("com.microsoft", 1))
    onnx.save(model, mlp)
    with pytest.raises(StepError, match=r"TensorRT does not take.*'encoder/act' \(FastGelu\)"):
        build_engine(mlp, work, options(), builder="tensorrt")
    assert list(work.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("shown", ["3", None])
def test_a_builder_that_finds_no_card_is_told_of_and_was_not_kept_from_it(
    mlp: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: str | None
) -> None:
    seen = tmp_path / "seen"
    source = (AT_CARD / "tensorrt.py").read_text("utf-8")
    broken = f"""
import os
from pathlib import Path
class Builder:
    def __init__(self, logger):
        logger.log(logger.ERROR, "CUDA initialization failure with error: 35")
        Path({str(seen)!r}).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "unset"))
        raise TypeError("factory function returned nullptr")
"""
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "tensorrt.py").write_text(source + broken, "utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{AT_CARD.parent.parent.parent}")
    if shown is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    words = "TensorRT could not build the engine: it does not start: CUDA initialization failure"
    with pytest.raises(StepError, match=words):
        build_engine(mlp, work, options(), builder="tensorrt")
    assert seen.read_text() == (shown or "unset")


def refused(path: Path, work: Path, order: EngineOptions) -> str:
    with pytest.raises(StepError) as caught:
        build_engine(path, work, order)
    assert list(work.iterdir()) == []
    return str(caught.value)


@pytest.mark.slow
def test_a_card_that_the_builder_does_not_know(mlp: Path, work: Path) -> None:
    said = refused(mlp, work, options("9.0"))
    assert "builds no engine for compute capability 9.0; it knows" in said
    assert "SM86" in said


@pytest.mark.slow
def test_an_operator_of_another_domain_is_named_with_its_remedy(mlp: Path, work: Path) -> None:
    model = onnx.load(mlp)
    model.graph.node[1].op_type = "FastGelu"
    model.graph.node[1].domain = "com.microsoft"
    model.graph.node[1].name = "encoder/act"
    model.opset_import.append(make.make_opsetid("com.microsoft", 1))
    onnx.save(model, mlp)
    said = refused(mlp, work, options())
    assert "'encoder/act' (FastGelu)" in said
    assert "plain forms" in said
    assert "&&" not in said


@pytest.mark.slow
def test_unsigned_zero_points_are_named_with_their_remedy(mlp: Path, work: Path) -> None:
    model = onnx.load(mlp)
    point = onnx.numpy_helper.from_array(np.array(3, dtype="uint8"), "point")
    scale = onnx.numpy_helper.from_array(np.array(0.1, dtype="float32"), "scale")
    model.graph.initializer.extend([point, scale])
    pair = [
        make.make_node("QuantizeLinear", ["x", "scale", "point"], ["q"], name="quantize"),
        make.make_node("DequantizeLinear", ["q", "scale", "point"], ["d"], name="back"),
    ]
    model.graph.node[0].input[0] = "d"
    nodes = [*pair, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, mlp)
    said = refused(mlp, work, options())
    assert "quantize" in said or "back" in said
    assert "signed, symmetric Q/DQ pairs" in said


@pytest.mark.slow
def test_requests_that_the_graph_does_not_take(tmp_path: Path, work: Path) -> None:
    path = models.write_mlp(tmp_path / "model.onnx", batch=1, width=64)
    said = refused(path, work, options())
    assert "fixes the input 'x' at 1 x 16" in said
    assert "1 x 16 to 4 x 16. Give the target's workload.batch as the graph has it" in said


def test_too_little_memory_is_said_before_anything_is_begun(mlp: Path) -> None:
    with pytest.raises(StepError, match=r"takes about 4\d\d MiB of memory, and 1.00 MiB are free"):
        require_memory(mlp, available=2**20)


PLUGIN = "Plugin not found, are the plugin name, version, and namespace correct?"
CREATOR = "Assertion failed: creator && x == y: NonZero plugin creator version 1 was not found"


@pytest.mark.parametrize("why", ["false", "", PLUGIN, CREATOR])
def test_an_operator_that_the_parser_does_not_know_is_said_to_be_none_of_its_own(why: str) -> None:
    node = RefusedNode(node="blocks/7/split", operator="SplitToSequence", why=why)
    said = refusal_words(Refusal(nodes=(node,)), "8.6")
    assert "'blocks/7/split' (SplitToSequence): its parser has no such operator. Export" in said
    assert "--runtime onnxruntime" in said


def test_operators_of_classical_learning_are_for_cpus() -> None:
    node = RefusedNode(node="trees", operator="TreeEnsembleRegressor", why=PLUGIN)
    said = refusal_words(Refusal(nodes=(node,)), "8.6")
    assert "'trees' (TreeEnsembleRegressor)" in said
    assert "classical machine learning are for CPUs" in said
    assert "--runtime" not in said


def test_a_layer_without_a_kernel_is_named_with_a_remedy() -> None:
    why = (
        "[tacticSupply.cpp::getSupportedFormats::48] Error Code 2: Internal Error (Assertion "
        "!layerImpls.empty() failed. detect/nms_2 has no runners that implement it In x at y:48)"
    )
    said = refusal_words(Refusal(why=why), "8.6")
    assert "it has no kernel for the layer 'detect/nms_2'. Export the model without" in said
    assert "Assertion" not in said


def test_words_for_what_is_refused() -> None:
    nodes = tuple(RefusedNode(node=f"n{at}", operator="Odd", why="no") for at in range(5))
    said = refusal_words(Refusal(nodes=nodes), "8.6")
    assert "node 'n2' (Odd): no (and 2 more)" in said
    assert refusal_words(Refusal(why="too large"), "8.6").endswith("too large.")
    said = refusal_words(Refusal(why="too large.", full=True), "8.6", "TensorRT")
    assert said.startswith("TensorRT could not build the engine: too large. The card has too litt")
