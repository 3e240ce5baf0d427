"""float8 as a step: what it gives and refuses."""

from collections.abc import Callable

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Precision
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.steps.float8 import QuantizeFloat8

Context = Callable[[], StepContext]


def test_a_float_graph_gets_pairs(float_graph: Artifact, context: Context) -> None:
    work = context()
    step = QuantizeFloat8(samples=3)
    step.requires(float_graph, work)
    made = step.run(float_graph, work)
    assert made.precision is Precision.FP8
    assert made.notes[-1] == (
        "4 products were given float8 pairs (E4M3), with ranges of 3 samples."
    )


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.FP8])
def test_what_is_quantized_already_is_refused(
    float_graph: Artifact, context: Context, precision: Precision
) -> None:
    given = msgspec.structs.replace(float_graph, precision=precision)
    with pytest.raises(StepError, match="quantized already"):
        QuantizeFloat8().requires(given, context())


def test_at_least_one_sample_is_looked_at(float_graph: Artifact, context: Context) -> None:
    with pytest.raises(StepError, match="at least one sample"):
        QuantizeFloat8(samples=0).requires(float_graph, context())
