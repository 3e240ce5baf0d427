"""float16 as a step: what it gives, says and refuses."""

from collections.abc import Callable

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.steps.half import ConvertHalf, _seen

Context = Callable[[], StepContext]


def test_a_float_graph_becomes_half(float_graph: Artifact, context: Context) -> None:
    work = context()
    step = ConvertHalf(samples=3)
    step.requires(float_graph, work)
    made = step.run(float_graph, work)
    assert (made.format, made.precision) == (Format.ONNX, Precision.FP16)
    assert made.path.stat().st_size < 0.6 * float_graph.path.stat().st_size
    assert made.notes[0] == "As it came."
    assert "no value of 3 inputs came near the end of its range" in made.notes[-1]


def test_without_samples_nothing_is_known_of_ranges(
    float_graph: Artifact, context: Context
) -> None:
    bare = msgspec.structs.replace(context(), samples=None)
    with pytest.raises(StepError, match="real inputs"):
        ConvertHalf().requires(float_graph, bare)


def test_both_ends_of_the_range_are_told_of() -> None:
    assert _seen([9e4, 7e5]) == "values of up to 7e+05"
    assert _seen([3e-9, 1e-6]) == "values of no more than 3e-09"
    assert _seen([9e4, 3e-9]) == "values of up to 9e+04 and values of no more than 3e-09"
