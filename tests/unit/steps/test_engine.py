"""An engine as a step: what it needs, and what is asked in its place."""

import platform
from collections.abc import Callable

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format
from deployopt.core.engine import ENGINE_FILE, LISTING_FILE
from deployopt.core.errors import MissingExtraError, StepError
from deployopt.core.recipe import StepContext
from deployopt.steps import engine as module
from deployopt.steps.engine import BuildEngine, graph_asked

Context = Callable[[], StepContext]


@pytest.mark.slow
def test_the_engine_has_its_graph_and_listing_beside_it(
    float_graph: Artifact, context: Context
) -> None:
    pytest.importorskip("tensorrt_rtx")
    shapes = {"name": "input_ids", "least": [1, 1], "usual": [1, 8], "most": [1, 64]}
    step = msgspec.convert({"platform": platform.machine(), "profile": [shapes]}, BuildEngine)
    work = context()
    step.requires(float_graph, work)
    made = step.run(float_graph, work)
    assert (made.format, made.entry, made.runtime) == (Format.ENGINE, ENGINE_FILE, "tensorrt-rtx")
    names = {path.name for path in work.workdir.iterdir()}
    assert names == {ENGINE_FILE, LISTING_FILE, "model.onnx"}
    assert made.notes[-1].endswith("layers; it has not run.")


def test_without_the_builder_its_command_is_said(
    float_graph: Artifact, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "builder_installed", lambda: False)
    with pytest.raises(MissingExtraError, match=r"deployopt\[tensorrt-rtx\]"):
        BuildEngine().requires(float_graph, context())


def test_another_kind_of_processor_is_refused(
    float_graph: Artifact, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "builder_installed", lambda: True)
    with pytest.raises(StepError, match="the target is riscv64"):
        BuildEngine(platform="riscv64").requires(float_graph, context())


def test_in_an_engines_place_its_graph_is_asked(float_graph: Artifact) -> None:
    assert graph_asked(float_graph) is float_graph
    engine = msgspec.structs.replace(float_graph, format=Format.ENGINE, entry=ENGINE_FILE)
    asked = graph_asked(engine)
    assert (asked.format, asked.entry, asked.digest) == (Format.ONNX, "model.onnx", engine.digest)
    assert asked.session.config_entries == {"session.disable_quant_qdq": "1"}
