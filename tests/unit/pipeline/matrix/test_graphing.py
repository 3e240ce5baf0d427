"""Steps by what decides them: shared ones once, in order, stored ones by the store's own key."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.matrix import CellName, CellRequest
from deployopt.core.step_graph import PlannedStep, StepState
from deployopt.pipeline.matrix.graphing import Grapher, options_words
from deployopt.planning.targets import load_target
from deployopt.steps.export import Export
from deployopt.steps.quantize import QuantizeDynamic
from deployopt.store.store import Store
from tests.fakes.cells import cell


def demo(store: Path, target: str) -> CellRequest:
    return msgspec.structs.replace(
        cell("demo-sentiment", store=store),
        name=CellName(model="demo", target=target),
        target=load_target(target),
    )


def test_of_a_model_that_is_not_fetched_the_graph_is_known_all_the_same(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        grapher = Grapher(store)
        cells = [grapher.add(demo(tmp_path / "store", name)) for name in ("rpi4", "rpi5")]
        steps = {step.name: step for step in grapher.steps()}
    assert [one.refused for one in cells] == [None, None]
    assert cells[0].steps == cells[1].steps
    assert cells[0].plan is not None
    assert "nothing is fetched for a plan" in cells[0].notes[0]
    assert list(steps)[:2] == ["export", "optimize"]
    assert {step.state for step in steps.values()} == {StepState.UNKNOWN}
    assert steps["export"].cells == ("demo-rpi4", "demo-rpi5")
    assert set(steps["export"].recipes) >= {"float", "int8"}
    assert steps["optimize"].after == steps["export"].id
    assert _in_order(grapher.steps())
    assert grapher.asked == 2 * len(cells[0].steps)


def _in_order(steps: tuple[PlannedStep, ...]) -> bool:
    seen: set[str | None] = {None}
    for step in steps:
        if step.after not in seen:
            return False
        seen.add(step.id)
    return True


def test_what_cannot_be_built_is_refused_and_the_others_stand(tmp_path: Path) -> None:
    there = demo(tmp_path / "store", "rpi4")
    graph = tmp_path / "broken.onnx"
    graph.write_bytes(b"no graph")
    with Store(tmp_path / "store") as store:
        grapher = Grapher(store)
        found = grapher.add(msgspec.structs.replace(there, model=str(graph)))
        assert found.exit_code == 4
        assert "broken.onnx" in (found.refused or "")
        assert grapher.add(there).refused is None


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (QuantizeDynamic(), ""),
        (QuantizeDynamic(reduce_range=True), "reduce_range=true"),
        (QuantizeDynamic(exclude=("a",), per_channel=False), 'per_channel=false, exclude=["a"]'),
        (Export(opset=13), "opset=13"),
    ],
)
def test_options_that_are_not_the_usual_ones(step: Export | QuantizeDynamic, words: str) -> None:
    assert options_words(step) == words
