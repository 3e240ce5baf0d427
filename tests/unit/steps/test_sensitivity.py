"""Layers ranked by what quantizing each does, in passes, within a deadline."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.artifact import Artifact
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.core.samples import Feed, decode_samples
from deployopt.steps import sensitivity
from deployopt.steps.quantize import QuantizeDynamic, QuantizeStatic
from deployopt.steps.sensitivity import Probe, Quantize, excluding, rank_layers
from deployopt.steps.symmetric import QuantizeSymmetric

Contexts = Callable[[], StepContext]


@pytest.fixture
def feeds(samples: Path) -> list[dict[str, np.ndarray]]:
    return decode_samples(samples)


@pytest.fixture
def probe(tmp_path: Path, feeds: list[Feed]) -> Probe:
    folder = tmp_path / "ranking"
    folder.mkdir()
    return Probe(output="logits", classifies=True, workdir=folder, calibration=feeds)


@pytest.mark.parametrize("step", [QuantizeDynamic(), QuantizeStatic(), QuantizeSymmetric()])
def test_every_layer_is_ranked_and_nothing_is_left_behind(
    step: Quantize, float_graph: Artifact, feeds: list[Feed], probe: Probe
) -> None:
    before = float_graph.path.read_bytes()
    found = rank_layers(float_graph, step, feeds, probe)
    assert {"q", "k", "v"} <= {layer.name for layer in found.layers}
    errors = [layer.error for layer in found.layers]
    assert errors == sorted(errors, reverse=True)
    assert min(errors) > 0
    assert (found.examples, found.unranked) == (4, ())
    assert list(probe.workdir.iterdir()) == []
    assert float_graph.path.read_bytes() == before


@pytest.mark.parametrize(
    "step",
    [
        QuantizeDynamic(exclude=("k",)),
        QuantizeStatic(exclude=("k",)),
        QuantizeSymmetric(exclude=("k",)),
    ],
)
def test_what_is_left_out_already_is_not_ranked(
    step: Quantize, float_graph: Artifact, feeds: list[Feed], probe: Probe
) -> None:
    found = rank_layers(float_graph, step, feeds, probe)
    assert "k" not in {layer.name for layer in found.layers}


def spoilt(source: Artifact, name: str) -> Artifact:
    """One weight of a layer is so large that one scale for all leaves nothing of the others."""
    model = onnx.load(source.path)
    for tensor in model.graph.initializer:
        if tensor.name == f"{name}.w":
            array = onnx.numpy_helper.to_array(tensor).copy()
            array[0, 0] = 60.0
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    source.path.write_bytes(model.SerializeToString())
    return source


@pytest.mark.parametrize("worst", ["q", "k", "v"])
@pytest.mark.parametrize(
    "step", [QuantizeDynamic(per_channel=False), QuantizeStatic(per_channel=False)]
)
def test_the_layer_that_was_spoilt_comes_first(
    step: Quantize, worst: str, float_graph: Artifact, feeds: list[Feed], probe: Probe
) -> None:
    found = rank_layers(spoilt(float_graph, worst), step, feeds, probe)
    products = [layer for layer in found.layers if layer.operator == "MatMul"]
    assert products[0].name == worst
    assert products[0].error > 10 * products[1].error


def test_outputs_that_are_no_classes_are_ranked_too(
    float_graph: Artifact, feeds: list[Feed], probe: Probe
) -> None:
    values = msgspec.structs.replace(probe, classifies=False)
    found = rank_layers(float_graph, QuantizeDynamic(), feeds, values)
    assert all(0 < layer.error < 0.1 and layer.changed == 0 for layer in found.layers)


def test_passes_add_up(
    float_graph: Artifact, feeds: list[Feed], probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rank_layers(float_graph, QuantizeDynamic(), feeds, probe)
    monkeypatch.setattr(sensitivity, "FIRST_PASS", 1)
    monkeypatch.setattr(sensitivity, "LATER_PASS", 2)
    parts = rank_layers(float_graph, QuantizeDynamic(), feeds, probe)
    assert parts.examples == whole.examples == 4
    for one, other in zip(parts.layers, whole.layers, strict=True):
        assert one.name == other.name
        assert one.error == pytest.approx(other.error)


class Clock:
    """Time goes on by a second each time somebody looks."""

    def __init__(self) -> None:
        self.now = 0

    def perf_counter_ns(self) -> int:
        self.now += 10**9
        return self.now


@pytest.mark.parametrize(
    ("deadline_s", "examples", "unranked"),
    [(2.5, 1, 2), (1000.0, 4, 0), (7.5, 1, 0), (10.5, 2, 0), (0.0, 1, 4)],
)
def test_a_deadline_leaves_layers_or_requests_out(
    deadline_s: float,
    examples: int,
    unranked: int,
    float_graph: Artifact,
    feeds: list[Feed],
    probe: Probe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Four layers, one request a pass."""
    monkeypatch.setattr(sensitivity, "FIRST_PASS", 1)
    monkeypatch.setattr(sensitivity, "LATER_PASS", 1)
    monkeypatch.setattr(sensitivity, "time", Clock())
    short = msgspec.structs.replace(probe, deadline_s=deadline_s)
    found = rank_layers(float_graph, QuantizeDynamic(), feeds, short)
    assert (found.examples, len(found.unranked)) == (examples, unranked)
    assert len(found.layers) == 4 - unranked


def test_progress_is_told(float_graph: Artifact, feeds: list[Feed], probe: Probe) -> None:
    said: list[tuple[float, str]] = []
    watched = msgspec.structs.replace(probe, progress=lambda *words: said.append(words))
    rank_layers(float_graph, QuantizeDynamic(), feeds, watched)
    assert [share for share, _ in said] == [0.0, 0.25, 0.5, 0.75]
    assert said[-1][1].endswith("4 inputs: v")


def test_nothing_to_ask_is_an_error(float_graph: Artifact, probe: Probe, feeds: list[Feed]) -> None:
    with pytest.raises(StepError, match="real inputs"):
        rank_layers(float_graph, QuantizeDynamic(), [], probe)
    with pytest.raises(StepError, match="no layer"):
        rank_layers(float_graph, QuantizeDynamic(exclude=("*",)), feeds, probe)


@given(
    st.lists(st.text("abc[]*?!-/.", min_size=1), max_size=6),
    st.lists(st.text("abc[]*?!-/.", min_size=1), max_size=6),
)
def test_exactly_the_named_nodes_are_excluded(names: list[str], others: list[str]) -> None:
    step = excluding(QuantizeStatic(), names)
    for name in (*names, *others):
        found = any(fnmatchcase(name, pattern) for pattern in step.exclude)
        assert found is (name in names)
    assert excluding(step, names) == step
    assert excluding(QuantizeStatic(), names[::-1]) == step


def test_other_options_stay() -> None:
    step = excluding(QuantizeDynamic(exclude=("head*",), reduce_range=True), ["b", "a"])
    assert step == QuantizeDynamic(exclude=("head*", "a", "b"), reduce_range=True)
