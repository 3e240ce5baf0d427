"""Engines for a target's card: what they are built for, and in which forms."""

import msgspec
import pytest

from deployopt.core.artifact import Format, Precision
from deployopt.pipeline.engines import EnginePlace, engine_place, engine_steps
from deployopt.planning.targets import load_target
from deployopt.steps.engine import BuildEngine
from deployopt.steps.float8 import QuantizeFloat8
from deployopt.steps.half import ConvertHalf
from deployopt.steps.symmetric import QuantizeSymmetric
from tests.fakes.candidates import source

PLACE = EnginePlace(compute_capability="8.6", platform="x86_64", workspace_bytes=2**30)


def test_every_form_ends_in_an_engine() -> None:
    found = engine_steps(PLACE, source().artifact, convolutional=False)
    assert [name for name, _, _ in found] == ["float", "fp16", "int8"]
    assert {steps[-1] for _, steps, _ in found} == {PLACE.step}
    kinds = [[type(one) for one in steps[:-1]] for _, steps, _ in found]
    assert kinds == [[], [ConvertHalf], [QuantizeSymmetric, ConvertHalf]]
    assert isinstance(PLACE.step, BuildEngine)
    assert PLACE.step.tf32 is False


@pytest.mark.parametrize("capability", ["8.9", "12.0"])
def test_cards_that_have_float8_get_a_form_of_it(capability: str) -> None:
    place = msgspec.structs.replace(PLACE, compute_capability=capability)
    found = {
        name: steps for name, steps, _ in engine_steps(place, source().artifact, convolutional=True)
    }
    assert list(found) == ["float", "fp16", "fp8", "int8"]
    kinds: list[type] = [type(one) for one in found["fp8"]]
    assert kinds == [QuantizeFloat8, ConvertHalf, BuildEngine]


def test_what_is_int8_already_is_built_as_it_is() -> None:
    given = msgspec.structs.replace(source().artifact, precision=Precision.INT8)
    assert [name for name, _, _ in engine_steps(PLACE, given, convolutional=True)] == ["float"]


def test_a_graph_in_half_precision_is_built_as_it_is_and_not_called_fp32() -> None:
    graph = source(form=Format.ONNX).artifact
    given = msgspec.structs.replace(graph, precision=Precision.FP16)
    ((name, steps, reason),) = engine_steps(PLACE, given, convolutional=True)
    assert (name, steps) == ("float", (PLACE.step,))
    assert reason == "an engine for SM86 in its own precisions"
    assert len(engine_steps(PLACE, graph, convolutional=True)) == 3
    # A folder's weights are float32 once they are exported.
    folder = msgspec.structs.replace(source().artifact, precision=Precision.FP16)
    assert len(engine_steps(PLACE, folder, convolutional=True)) == 3


def test_a_layer_gets_a_part_of_the_cards_memory_to_work_in() -> None:
    for name in ("t4", "rtx3060", "a100x4", "h100"):
        place = engine_place(load_target(name))
        assert place is not None
        assert 2**28 < place.workspace_bytes <= 2**33
    assert engine_place(load_target("rpi4")) is None
