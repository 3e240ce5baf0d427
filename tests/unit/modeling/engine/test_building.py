"""Real engines for named cards, built without one; what the builder refuses, in words."""

from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper
import pytest

from deployopt.core.engine import ENGINE_FILE, LISTING_FILE, EngineOptions, InputRange
from deployopt.core.errors import StepError
from deployopt.modeling.engine.building import (
    build_engine,
    refusal_words,
    require_memory,
)
from deployopt.modeling.engine.child import Refusal, RefusedNode
from tests.fakes import models

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


def test_words_for_what_is_refused() -> None:
    nodes = tuple(RefusedNode(node=f"n{at}", operator="Odd", why="no") for at in range(5))
    said = refusal_words(Refusal(nodes=nodes), "8.6")
    assert "node 'n2' (Odd): no (and 2 more)" in said
    assert refusal_words(Refusal(why="too large"), "8.6").endswith("too large.")
