"""Signed, symmetric pairs as a step: what it gives and refuses."""

from collections.abc import Callable

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Precision
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.steps.symmetric import QuantizeSymmetric

Context = Callable[[], StepContext]


def test_a_float_graph_gets_pairs(float_graph: Artifact, context: Context) -> None:
    work = context()
    step = QuantizeSymmetric(calibration="minmax")
    step.requires(float_graph, work)
    made = step.run(float_graph, work)
    assert made.precision is Precision.INT8
    assert made.notes[-1].startswith("4 products were given signed, symmetric Q/DQ pairs")


def test_what_is_int8_already_is_refused(float_graph: Artifact, context: Context) -> None:
    given = msgspec.structs.replace(float_graph, precision=Precision.INT8)
    with pytest.raises(StepError, match="quantized already"):
        QuantizeSymmetric().requires(given, context())


@pytest.mark.parametrize("wrong", [{"percentile": 90.0}, {"samples": 0}])
def test_odd_options_are_refused(
    float_graph: Artifact, context: Context, wrong: dict[str, float]
) -> None:
    step = msgspec.convert(wrong, QuantizeSymmetric)
    with pytest.raises(StepError, match="percentile over 90"):
        step.requires(float_graph, context())
