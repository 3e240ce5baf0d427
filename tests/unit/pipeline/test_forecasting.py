"""A plan puts hope first, says why the rest has none, and steers what is built."""

from pathlib import Path

import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.budget import Budget, parse_budget
from deployopt.core.errors import CannotFitError
from deployopt.core.evidence import Evidence
from deployopt.core.plan import Facts, Operation, Plan
from deployopt.core.recipe import Recipe
from deployopt.pipeline.forecasting import (
    Asked,
    Way,
    evaluation_size,
    make_plan,
    require_fit,
    too_few,
    ways_of,
    worth_trying,
)
from deployopt.planning.targets import load_target

RPI = load_target("rpi4")
INT8 = Way(name="int8", reason="smaller", precision=Precision.INT8)
FLOAT = Way(name="float", reason="plain", precision=Precision.FP32)


def facts(parameters: int = 66_000_000, macs: float = 5e9) -> Facts:
    return Facts(
        parameters=parameters,
        weight_bytes=4 * parameters,
        operations=(Operation(kind="gemm", macs=macs, weights=4e7, activations=1e6),),
        peak_activation_bytes=10_000_000,
        basis="made up",
    )


def plan(found: Facts, *budgets: Budget, ways: tuple[Way, ...] = (FLOAT, INT8)) -> Plan:
    asked = Asked(target=RPI, model="a model", budgets=budgets, facts=found)
    return make_plan(asked, ways, None)


def budget(name: str, limit: str) -> Budget:
    return parse_budget(name, limit)


def test_the_fastest_stands_first_whatever_the_order() -> None:
    limit = budget("latency_p95", "100 s")
    first = plan(facts(), limit).forecasts
    again = plan(facts(), limit, ways=(INT8, FLOAT)).forecasts
    assert [f.recipe for f in first] == [f.recipe for f in again] == ["int8", "float"]
    assert all(f.hopeless is None for f in first)


def test_hopeless_is_what_misses_with_the_lower_end_of_its_band() -> None:
    found = plan(facts(), budget("artifact_size", "100 MiB")).forecasts
    assert [f.recipe for f in found] == ["int8", "float"]
    assert found[0].hopeless is None
    words = found[1].hopeless or ""
    assert "artifact size" in words
    assert "over the budget of 100 MiB" in words
    estimate = found[1].estimates["artifact_size"]
    assert (
        plan(facts(), Budget(metric="artifact_size", limit=estimate.lower)).forecasts[1].hopeless
        is None
    )


def recipes() -> tuple[Recipe, ...]:
    return (Recipe(name="float", steps=()), Recipe(name="int8", steps=()))


def test_a_build_leaves_the_hopeless_out_and_says_so() -> None:
    slow = Way(name="int8", reason="", precision=Precision.FP32)
    small = Way(name="float", reason="", precision=Precision.INT8)
    found = plan(facts(), budget("artifact_size", "100 MiB"), ways=(small, slow))
    kept, said = worth_trying(recipes(), found, Evidence.PROXY)
    assert [r.name for r in kept] == ["float"]
    assert said[0].startswith("int8 was not tried: artifact size is ")
    assert worth_trying(recipes(), found, Evidence.TARGET) == (recipes(), ())


def test_the_float_graph_is_always_made() -> None:
    found = plan(facts(), budget("artifact_size", "100 MiB"))
    assert worth_trying(recipes(), found, Evidence.PROXY) == (recipes(), ())


def test_where_nothing_has_hope_everything_is_tried() -> None:
    found = plan(facts(), budget("artifact_size", "1 MiB"))
    assert all(f.hopeless for f in found.forecasts)
    assert worth_trying(recipes(), found, Evidence.PROXY) == (recipes(), ())


def test_a_model_of_no_known_cost_has_hope() -> None:
    asked = Asked(target=RPI, model="m", budgets=RPI.limits, facts=None)
    found = make_plan(asked, (FLOAT, INT8), None)
    assert found.fits
    assert [(f.recipe, f.estimates, f.hopeless) for f in found.forecasts] == [
        ("float", {}, None),
        ("int8", {}, None),
    ]


def test_what_cannot_fit_is_refused_with_what_would() -> None:
    require_fit(RPI, "small", facts())
    require_fit(RPI, "unknown", None)
    with pytest.raises(CannotFitError, match=r"huge cannot fit rpi4: .*\n  - ") as error:
        require_fit(RPI, "huge", facts(70_000_000_000))
    assert "target " in str(error.value)


def test_what_so_many_examples_prove() -> None:
    limits = (budget("accuracy_drop", "1 pt"),)
    assert evaluation_size(3000, (budget("latency_p95", "1 s"),)) is None
    assert too_few(None) == ()
    few, many = evaluation_size(300, limits), evaluation_size(20_000, limits)
    assert len(too_few(few)) == 1
    assert too_few(many) == ()


def test_ways_take_the_precision_of_the_model_for_the_float_graph() -> None:
    half = Artifact(
        format=Format.TRANSFORMERS, folder=Path(), entry="", digest="", precision=Precision.FP16
    )
    assert [(w.name, w.precision) for w in ways_of(recipes(), half)] == [
        ("float", Precision.FP16),
        ("int8", Precision.INT8),
    ]
