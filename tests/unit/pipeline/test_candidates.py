"""A recipe that was run: what disqualifies it, and what the report shows of it."""

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.bundle import LineageStep
from deployopt.core.recipe import Recipe
from deployopt.pipeline.candidates import Candidate, candidate_result
from deployopt.pipeline.making import MadeStep
from tests.fakes.candidates import candidate

replace = msgspec.structs.replace


def test_the_first_fault_is_told() -> None:
    good = candidate("int8", 0.010)
    assert good.fault is None
    assert good.trial is not None
    assert good.accuracy is not None
    crashed = replace(good, trial=replace(good.trial, failure="it crashed"))
    assert crashed.fault == "it crashed"
    odd = replace(good, accuracy=replace(good.accuracy, non_finite=3))
    assert odd.fault == "3 outputs are not finite numbers"
    assert replace(odd, failure="no kernel").fault == "no kernel"


def test_the_result_compares_with_the_float_form() -> None:
    both = [candidate("float", 0.020), candidate("int8", 0.010)]
    first, second = (candidate_result(c, both, "int8", f"why {c.recipe.name}", 0.95) for c in both)
    assert (first.chosen, second.chosen) == (False, True)
    assert first.latency is not None
    assert second.latency is not None
    assert first.latency.ratio is None
    assert second.latency.ratio is not None
    assert 0.45 < (second.latency.ratio.value or 0) < 0.55
    assert [r.order for r in second.latency.rounds[:3]] == [1, 3, 5]
    assert (first.precision, second.precision) == (Precision.FP32, Precision.INT8)
    assert second.why == "why int8"
    assert second.size is not None
    assert second.size.value == 64 * 2**20


def test_a_failure_leaves_the_rest_unknown() -> None:
    failed = Candidate(recipe=Recipe(name="int8", steps=(), reason="small"), failure="no kernel")
    both = [candidate("float", 0.020), failed]
    shown = candidate_result(failed, both, "float", "it failed", 0.95)
    assert (shown.failure, shown.why, shown.reason) == ("no kernel", "it failed", "small")
    assert (shown.artifact, shown.precision, shown.accuracy) == (None, None, None)
    assert (shown.latency, shown.memory, shown.size, shown.steps) == (None, None, None, ())


def test_steps_that_came_from_the_store_are_told() -> None:
    lineage = LineageStep(
        step="export", version=1, options="{}", tools={}, source="0" * 64, result="1" * 64
    )
    one = candidate("float", 0.020)
    assert one.made is not None
    step = MadeStep(lineage=lineage, seconds=0.5, reused=True)
    one = replace(one, made=replace(one.made, steps=(step,)))
    (shown,) = candidate_result(one, [one], "float", "alone", 0.95).steps
    assert (shown.name, shown.seconds, shown.reused) == ("export", 0.5, True)
