"""A decoder's folder with its cache in 8 bits."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.core.samples import encode_samples
from deployopt.graph.quantize_cache import cache_layers
from deployopt.graph.reading import read_graph
from deployopt.steps.cache import QuantizeCache
from tests.fakes.decoder_graphs import WIDTH, write_attending


@pytest.fixture
def source(tmp_path: Path) -> Artifact:
    return Artifact(
        format=Format.GENAI,
        folder=write_attending(tmp_path / "made"),
        entry="genai_config.json",
        digest="d",
        precision=Precision.INT4,
        notes=("So.",),
    )


@pytest.fixture
def reading(context: Callable[[], StepContext], tmp_path: Path) -> StepContext:
    texts = [{"input_ids": np.arange(20, dtype=np.int64)[None] + shift} for shift in range(3)]
    samples = tmp_path / "texts.npz"
    samples.write_bytes(encode_samples(texts))
    return msgspec.structs.replace(context(), samples=samples)


def test_only_the_graph_changes(source: Artifact, reading: StepContext) -> None:
    step = QuantizeCache()
    step.requires(source, reading)
    made = step.run(source, reading)
    assert made.precision is Precision.INT4
    assert made.notes == ("So.", "Keys and values of 1 layers are kept in 8 bits.")
    for name in ("model.onnx.data", "genai_config.json", "tokenizer.json"):
        assert (made.folder / name).read_bytes() == (source.folder / name).read_bytes()
    assert cache_layers(read_graph(source.folder / "model.onnx"), WIDTH)
    assert not cache_layers(read_graph(made.folder / "model.onnx"), WIDTH)
    again = msgspec.structs.replace(made)
    with pytest.raises(StepError, match="or does so already"):
        step.run(again, reading)


def test_the_margin_widens_the_scales(source: Artifact, reading: StepContext) -> None:
    def scale(margin: float) -> np.ndarray:
        import onnx.numpy_helper

        step = QuantizeCache(margin=margin)
        folder = reading.workdir / f"{margin:g}"
        folder.mkdir()
        made = step.run(source, msgspec.structs.replace(reading, workdir=folder))
        graph = read_graph(made.folder / "model.onnx").graph
        (found,) = (t for t in graph.initializer if t.name.endswith("k_scale"))
        array: np.ndarray = onnx.numpy_helper.to_array(found)
        return array

    np.testing.assert_allclose(scale(2.0), 2 * scale(1.0), rtol=1e-6)


def test_what_it_cannot_do_is_refused_before_it_runs(
    source: Artifact, reading: StepContext, float_graph: Artifact
) -> None:
    with pytest.raises(StepError, match="takes a model in genai form"):
        QuantizeCache().requires(float_graph, reading)
    with pytest.raises(StepError, match="Add --data"):
        QuantizeCache().requires(source, msgspec.structs.replace(reading, samples=None))
    with pytest.raises(StepError, match=r"margin of 1 to 4, not 0\.5"):
        QuantizeCache(margin=0.5).requires(source, reading)
