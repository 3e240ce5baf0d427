"""bfloat16 and TF32 as steps: the deployed graph, and the one that is asked in its place."""

from collections.abc import Callable

import msgspec
import onnx
import pytest

from deployopt.core.artifact import Artifact, Precision
from deployopt.core.engine import ASKED_FILE
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.steps.bfloat16 import ConvertBfloat16
from deployopt.steps.engine import graph_asked
from deployopt.steps.for_card import OpenOnCard
from deployopt.steps.session import GRAPH_SESSION
from deployopt.steps.tf32 import AllowTf32

Context = Callable[[], StepContext]


def test_a_float_graph_becomes_bfloat16(float_graph: Artifact, context: Context) -> None:
    work = context()
    step = ConvertBfloat16(samples=3)
    step.requires(float_graph, work)
    made = step.run(float_graph, work)
    assert made.precision is Precision.BF16
    assert made.path.stat().st_size < 0.6 * float_graph.path.stat().st_size
    assert made.notes[0] == "As it came."
    assert made.notes[-1].startswith("bfloat16: answers to 3 inputs differ by ")
    asked = graph_asked(made)
    assert (asked.entry, asked.session, asked.digest) == (ASKED_FILE, GRAPH_SESSION, made.digest)


def test_tf32_ships_the_graph_as_it_is(float_graph: Artifact, context: Context) -> None:
    work = context()
    step = AllowTf32()
    step.requires(float_graph, work)
    made = step.run(float_graph, work)
    assert made.precision is Precision.TF32
    assert made.path.read_bytes() == float_graph.path.read_bytes()
    operators = {node.op_type for node in onnx.load(graph_asked(made).path).graph.node}
    assert {"Sub", "Mul", "MatMul"} <= operators


def test_the_last_step_takes_along_what_is_asked(float_graph: Artifact, context: Context) -> None:
    first, last = context(), context()
    short = AllowTf32().run(float_graph, first)
    made = OpenOnCard(tf32=True).run(short, last)
    assert made.session.tf32 is True
    assert (made.folder / ASKED_FILE).is_file()
    plain = OpenOnCard().run(float_graph, context())
    assert plain.session.tf32 is msgspec.UNSET


@pytest.mark.parametrize("step", [ConvertBfloat16(), AllowTf32()])
def test_what_is_quantized_already_is_refused(
    float_graph: Artifact, context: Context, step: ConvertBfloat16 | AllowTf32
) -> None:
    given = msgspec.structs.replace(float_graph, precision=Precision.INT8)
    with pytest.raises(StepError, match="quantized already"):
        step.requires(given, context())


def test_onnx_runtimes_provider_of_tensorrt_has_no_option_for_tf32(
    float_graph: Artifact, context: Context
) -> None:
    with pytest.raises(StepError, match="no option for TF32"):
        OpenOnCard(provider="tensorrt", tf32=True).requires(float_graph, context())
