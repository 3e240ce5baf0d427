"""A plan from facts: what each recipe is expected to give, which are hopeless, in which order.

In: a target, budgets, the facts of a model, the recipes. Out: forecasts and a plan. Light: `plan`
answers without numpy, torch or onnx.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from deployopt.core.additive import is_convolutional
from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.budget import Budget, limit_of
from deployopt.core.errors import CannotFitError, UsageError
from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.experience import Experience, Foreseen, premises_of
from deployopt.core.metric import Kind
from deployopt.core.plan import Facts, Forecast, Plan
from deployopt.core.recipe import Recipe
from deployopt.core.request import BuildRequest
from deployopt.core.target import Target
from deployopt.core.units import Dimension, show_quantity
from deployopt.pipeline.card_forms import SHORTENED
from deployopt.pipeline.recipes import FLOAT, FLOATS
from deployopt.planning.evaluation_size import EvaluationSize, judge_evaluation_size
from deployopt.planning.experience import learn
from deployopt.planning.fitting.checking import check_fit
from deployopt.planning.predict import forecast

_UNKNOWN: Final = "its graph is counted once it is exported"


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe as a plan sees it."""

    name: str
    reason: str
    precision: Precision


def ways_of(recipes: Sequence[Recipe], artifact: Artifact) -> tuple[Way, ...]:
    """The recipes with the precision that each is expected to give; the artifact replaces it."""
    return tuple(
        Way(
            name=recipe.name,
            reason=recipe.reason,
            precision=_expected(recipe.name, artifact),
        )
        for recipe in recipes
    )


def _expected(recipe: str, artifact: Artifact) -> Precision:
    if recipe in FLOATS:
        return artifact.precision
    if recipe in SHORTENED:
        return SHORTENED[recipe]
    # Of a model that draws, convolutions stay float.
    return Precision.MIXED if artifact.format is Format.DIFFUSERS else Precision.INT8


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan is made of; `facts` is None for a model that is counted once it is exported."""

    target: Target
    model: str
    budgets: tuple[Budget, ...]
    facts: Facts | None
    experiences: tuple[Experience, ...] = ()


def make_plan(
    asked: Asked,
    ways: Sequence[Way],
    size: EvaluationSize | None,
    *,
    build_s: Estimate | None = None,
    warnings: tuple[str, ...] = (),
) -> Plan:
    """What is expected of every way; those with hope first, the fastest of them at the top."""
    fit = None if asked.facts is None else check_fit(asked.target, asked.facts)
    forecasts = [_forecast(asked, way) for way in ways]
    return Plan(
        target=asked.target,
        model=asked.model,
        budgets=asked.budgets,
        fits=fit is None or fit.fits,
        fit_reason=_UNKNOWN if fit is None else fit.reason,
        forecasts=tuple(sorted(forecasts, key=_hope)),
        gate_examples=None if size is None else size.examples,
        gate_examples_needed=None if size is None else size.needed,
        build_s=build_s,
        warnings=warnings,
    )


def worth_trying(
    recipes: tuple[Recipe, ...], plan: Plan, evidence: Evidence
) -> tuple[tuple[Recipe, ...], tuple[str, ...]]:
    """The recipes without the hopeless ones, and a sentence for each that was left out.

    On the target itself a measurement decides, not a band; the float graph is what others are
    compared with; and where nothing has hope everything is tried, so that the verdict has numbers.
    """
    why = {forecast.recipe: forecast.hopeless for forecast in plan.forecasts}
    if evidence is Evidence.TARGET or all(why.values()):
        return recipes, ()
    left_out = [r for r in recipes if why[r.name] is not None and r.name != FLOAT]
    sentences = tuple(f"{r.name} was not tried: {why[r.name]}." for r in left_out)
    return tuple(r for r in recipes if r not in left_out), sentences


def predictions(
    target: Target,
    facts: Facts | None,
    precision: Precision,
    budgets: tuple[Budget, ...],
    experiences: tuple[Experience, ...] = (),
) -> dict[str, Estimate]:
    """An estimate for every budget that has one; none where the facts are not known yet.

    What was measured on such a device before corrects it.
    """
    if facts is None:
        return {}
    metrics = [b.metric for b in budgets]
    plain = forecast(target, facts, precision, metrics)
    timed = next((e for metric, e in plain.items() if metric.startswith("latency")), None)
    if timed is None:
        return plain
    correction = learn(
        experiences,
        target,
        precision,
        convolutional=is_convolutional(facts.operations),
        band=timed.upper / timed.value,
    )
    return plain if correction is None else forecast(target, facts, precision, metrics, correction)


def foreseen(
    target: Target,
    facts: Facts | None,
    precision: Precision,
    budgets: tuple[Budget, ...],
    model: str,
) -> Foreseen | None:
    """The prediction that no experience has corrected, to hold a measurement against."""
    if facts is None:
        return None
    return Foreseen(
        premises=premises_of(target),
        model=model,
        convolutional=is_convolutional(facts.operations),
        estimates=predictions(target, facts, precision, budgets),
    )


def require_budgets(request: BuildRequest) -> tuple[Budget, ...]:
    """The request's budgets.

    Raises:
        UsageError: there are none, so that nothing could be judged.
    """
    if not request.limits:
        raise UsageError(
            f"Target {request.target.name} has no budgets and none were given, so nothing could be "
            "judged. Add for example --budget latency_p95=60ms."
        )
    return request.limits


def require_fit(target: Target, model: str, facts: Facts | None) -> None:
    """Refuse what cannot fit at all.

    Raises:
        CannotFitError: with what would fit.
    """
    if facts is None:
        return
    fit = check_fit(target, facts)
    if not fit.fits:
        instead = "".join(f"\n  - {other}" for other in fit.what_would_fit)
        raise CannotFitError(
            f"{model} cannot fit {target.name}: {fit.reason}. What would fit:{instead}"
        )


def evaluation_size(examples: int, budgets: Sequence[Budget]) -> EvaluationSize | None:
    """What so many examples can prove; None where accuracy has no budget, and of mAP or recall."""
    # How much mAP may be certified depends on what lies in the images, known when they are found.
    if any(budget.metric in {"map_drop", "recall_drop"} for budget in budgets):
        return None
    limit = limit_of(budgets, Kind.ACCURACY)
    return None if limit is None else judge_evaluation_size(examples, limit)


def too_few(size: EvaluationSize | None) -> tuple[str, ...]:
    """A warning where the examples at hand may not settle the accuracy budget."""
    short = size is not None and (size.needed is None or size.examples < size.needed)
    return (size.sentence,) if size is not None and short else ()


def _forecast(asked: Asked, way: Way) -> Forecast:
    estimates = predictions(
        asked.target, asked.facts, way.precision, asked.budgets, asked.experiences
    )
    misses = [
        _miss(budget, estimates[budget.metric])
        for budget in asked.budgets
        if budget.metric in estimates and not budget.allows(_best(budget, estimates[budget.metric]))
    ]
    return Forecast(
        recipe=way.name,
        reason=way.reason,
        estimates=estimates,
        hopeless="; ".join(misses) or None,
    )


def _miss(budget: Budget, estimate: Estimate) -> str:
    dimension: Dimension = budget.definition.dimension
    best = show_quantity(_best(budget, estimate), dimension)
    limit = show_quantity(budget.limit, dimension)
    name = budget.metric.replace("_", " ")
    ends = ("upper", "under") if budget.definition.higher else ("lower", "over")
    return f"{name} is {best} at the {ends[0]} end of its band, {ends[1]} the budget of {limit}"


def _best(budget: Budget, estimate: Estimate) -> float:
    return budget.better(estimate.lower, estimate.upper)


def _hope(forecast: Forecast) -> tuple[bool, float]:
    latency = [e.value for metric, e in forecast.estimates.items() if metric.startswith("latency")]
    return forecast.hopeless is not None, min(latency, default=float("inf"))
