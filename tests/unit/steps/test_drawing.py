"""Pipelines as steps make them: refused before anything runs, quantized part by part."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper
import onnxruntime
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.drawing import DECODER, GRAPHS, SETTINGS, TEXT_ENCODER, UNET
from deployopt.core.errors import MissingExtraError, StepError
from deployopt.core.recipe import StepContext
from deployopt.steps import drawing
from deployopt.steps.drawing import ExportPipeline, QuantizePipeline
from tests.fakes.drawing_graphs import DRAWS, write_graphs

WIDE = 160


@pytest.fixture
def drawn(context: Callable[[], StepContext]) -> StepContext:
    return msgspec.structs.replace(context(), interface=DRAWS)


def artifact(folder: Path, **changed: object) -> Artifact:
    plain = Artifact(
        format=Format.DRAWING, folder=folder, entry=SETTINGS, digest="d", notes=("So.",)
    )
    return msgspec.structs.replace(plain, **changed)


def write_product(path: Path) -> None:
    """A graph of one large product."""
    weight = np.random.default_rng(0).standard_normal((WIDE, WIDE)).astype(np.float32)
    graph = make.make_graph(
        [make.make_node("MatMul", ["x", "weight"], ["y"], name="product")],
        "part",
        [make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", WIDE])],
        [make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", WIDE])],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())


def test_what_cannot_be_exported(
    tmp_path: Path,
    drawn: StepContext,
    context: Callable[[], StepContext],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = artifact(tmp_path, format=Format.DIFFUSERS)
    monkeypatch.setattr(drawing, "need_packages", lambda *_names: None)
    monkeypatch.setattr(drawing, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"deployopt\[diffusion\]"):
        ExportPipeline().requires(source, drawn)
    monkeypatch.setattr(drawing, "find_spec", lambda _name: drawing)
    with pytest.raises(StepError, match="opsets 14 to 20, not 13"):
        ExportPipeline(opset=13).requires(source, drawn)
    with pytest.raises(StepError, match="takes a model in diffusers form"):
        ExportPipeline().requires(artifact(tmp_path), drawn)
    with pytest.raises(StepError, match="draws images of prompts"):
        ExportPipeline().requires(source, context())
    with pytest.raises(StepError, match="real inputs"):
        ExportPipeline().requires(source, msgspec.structs.replace(drawn, samples=None))


def test_what_cannot_be_quantized(tmp_path: Path, drawn: StepContext) -> None:
    with pytest.raises(StepError, match="quantized already"):
        QuantizePipeline().requires(artifact(tmp_path, precision=Precision.MIXED), drawn)
    with pytest.raises(StepError, match="needs parts"):
        QuantizePipeline(parts=()).requires(artifact(tmp_path), drawn)
    write_graphs(tmp_path)
    with pytest.raises(StepError, match="have no matrix product"):
        QuantizePipeline().run(artifact(tmp_path), drawn)


def test_only_parts_with_products_become_int8(tmp_path: Path, drawn: StepContext) -> None:
    source = tmp_path / "source"
    write_graphs(source)
    write_product(source / UNET)
    drawn.workdir.mkdir(exist_ok=True)
    made = QuantizePipeline(reduce_range=True).run(artifact(source), drawn)
    assert (made.format, made.entry, made.precision) == (Format.DRAWING, SETTINGS, Precision.INT8)
    assert made.notes == (
        "So.",
        f"Products and lookups of dynamic int8: 0 of {TEXT_ENCODER}, 1 of {UNET}.",
    )
    assert {path.name for path in drawn.workdir.iterdir()} == {*GRAPHS, SETTINGS}
    for name in (TEXT_ENCODER, DECODER, SETTINGS):
        assert (drawn.workdir / name).read_bytes() == (source / name).read_bytes()
    x = np.random.default_rng(1).standard_normal((2, WIDE)).astype(np.float32)
    (found,) = onnxruntime.InferenceSession(drawn.workdir / UNET).run(None, {"x": x})
    (wanted,) = onnxruntime.InferenceSession(source / UNET).run(None, {"x": x})
    assert 0 < np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


def test_data_beside_a_graph_goes_with_it(tmp_path: Path, drawn: StepContext) -> None:
    source = tmp_path / "source"
    write_graphs(source)
    write_product(source / UNET)
    (source / f"{DECODER}.data").write_bytes(b"weights")
    drawn.workdir.mkdir(exist_ok=True)
    QuantizePipeline(parts=(UNET,)).run(artifact(source), drawn)
    assert (drawn.workdir / f"{DECODER}.data").read_bytes() == b"weights"
