"""A language model's plan: memory, time to first token and tokens a second, form by form.

In: a target, a model's shape, the forms that may be made. Out: forecasts, the most hopeful first,
and the forms worth trying. Nothing is built or read but the config.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from deployopt.core.answer_settings import AnswerSetting
from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.budget import Budget
from deployopt.core.errors import CannotFitError
from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.metric import METRICS, Kind
from deployopt.core.plan import Forecast, Plan
from deployopt.core.request import FitRequest
from deployopt.core.standing import Standing, standing_between
from deployopt.core.target import Target
from deployopt.core.units import Dimension, show_quantity
from deployopt.pipeline.language.cards import on_card
from deployopt.pipeline.language.forms import Form
from deployopt.pipeline.language.requests import Requests
from deployopt.pipeline.language.walking import walked
from deployopt.planning.fitting import fit_inference
from deployopt.planning.generation import predict_generation
from deployopt.planning.memory import inference_need
from deployopt.planning.memory.weights import BITS, weight_parts
from deployopt.planning.usable import usable_bytes

_TOKENIZER_BYTES: Final = 4e6
_GRAPH_BYTES: Final = 1e6
_SIZE_BAND: Final = 0.15
"""Builders differ in what they leave in 16 or 32 bits."""
_SHOWN: Final = ("ttft_p50", "decode_tps_min", "memory_peak")
"""Metrics that are predicted of every form, whether there is a budget on them or not."""
_TOO_BIG: Final = "it does not fit: "


def language_plan(
    target: Target,
    name: str,
    architecture: Architecture,
    forms: Sequence[Form],
    budgets: tuple[Budget, ...],
    requests: Requests,
) -> Plan:
    """What is expected of every form.

    Raises:
        CannotFitError: none of them can run on the target; says what would.
    """
    needs = {
        form.recipe.name: inference_need(
            architecture,
            target=target,
            precision=form.precision,
            batch=1,
            context=requests.context,
            cache_bits=form.cache_bits,
        ).total
        for form in forms
    }
    usable = usable_bytes(target)
    standing = {one: standing_between(n.lower, n.upper, usable) for one, n in needs.items()}
    if all(one is Standing.OUTSIDE for one in standing.values()):
        raise CannotFitError(_refusal(target, name, architecture, needs, requests))
    forecasts = [
        _forecast(target, architecture, form, budgets, requests, standing[form.recipe.name])
        for form in forms
    ]
    best = next((f for f in forms if standing[f.recipe.name] is Standing.INSIDE), None)
    return Plan(
        target=target,
        model=name,
        budgets=budgets,
        fits=True,
        fit_reason=walked(target, architecture, requests.context)
        if on_card(target)
        else _reason(target, needs, best, requests.context),
        forecasts=tuple(sorted(forecasts, key=lambda one: one.hopeless is not None)),
        gate_examples=None,
        gate_examples_needed=None,
    )


def language_predictions(
    target: Target,
    architecture: Architecture,
    form: Form,
    budgets: Sequence[Budget],
    requests: Requests,
) -> dict[str, Estimate]:
    """An estimate for every budget that has one, and for what everybody asks of a language model.

    That is its speed, and the memory of a full context.
    """
    speed = predict_generation(
        target,
        architecture,
        form.precision,
        prompt=requests.prompt,
        context=requests.prompt + requests.answer,
    )
    known: dict[Kind, Estimate | None] = {
        Kind.FIRST_TOKEN: speed.get("ttft_s"),
        Kind.DECODE: speed.get("decode_tps"),
        Kind.MEMORY: inference_need(
            architecture,
            target=target,
            precision=form.precision,
            batch=1,
            context=requests.context,
            cache_bits=form.cache_bits,
        ).total,
        Kind.SIZE: _size(architecture, form.precision),
    }
    metrics = dict.fromkeys((*(b.metric for b in budgets), *_SHOWN))
    found = {metric: known.get(METRICS[metric].kind) for metric in metrics}
    return {metric: estimate for metric, estimate in found.items() if estimate is not None}


def setting_predictions(
    target: Target,
    architecture: Architecture,
    form: Form,
    setting: AnswerSetting,
    context: int,
) -> dict[str, Estimate]:
    """Prefill, decode and memory at one length of prompt and one batch; of rates all rows'."""
    length = setting.prompt_tokens + setting.answer_tokens
    found = predict_generation(
        target,
        architecture,
        form.precision,
        prompt=setting.prompt_tokens,
        context=length,
        batch=setting.batch,
    )
    need = inference_need(
        architecture,
        target=target,
        precision=form.precision,
        batch=setting.batch,
        context=min(length, context),
        cache_bits=form.cache_bits,
    )
    return {**found, "memory_peak": need.total}


def worth_trying(
    forms: tuple[Form, ...], plan: Plan, evidence: Evidence
) -> tuple[tuple[Form, ...], tuple[str, ...]]:
    """The forms without the hopeless ones, and a sentence for each that was left out.

    On the target itself a measurement decides, but not on what surely does not fit its memory.
    """
    why = {one.recipe: one.hopeless for one in plan.forecasts}
    hopeless = {name for name, reason in why.items() if reason is not None}
    if evidence is Evidence.TARGET:
        hopeless = {name for name in hopeless if (why[name] or "").startswith(_TOO_BIG)}
    if len(hopeless) == len(forms):
        return forms, ()
    left = [f for f in forms if f.recipe.name in hopeless]
    kept = tuple(f for f in forms if f.recipe.name not in hopeless)
    return kept, tuple(f"{f.recipe.name} was not tried: {why[f.recipe.name]}." for f in left)


def _forecast(
    target: Target,
    architecture: Architecture,
    form: Form,
    budgets: Sequence[Budget],
    requests: Requests,
    standing: Standing,
) -> Forecast:
    estimates = language_predictions(target, architecture, form, budgets, requests)
    misses = [
        _miss(budget, estimates[budget.metric])
        for budget in budgets
        if budget.metric in estimates and not budget.allows(_best(budget, estimates))
    ]
    hopeless = "; ".join(misses) or None
    if standing is Standing.OUTSIDE:
        usable = show_quantity(usable_bytes(target), Dimension.SIZE)
        hopeless = f"{_TOO_BIG}{usable} of memory are usable on {target.name}"
    return Forecast(
        recipe=form.recipe.name,
        reason=form.recipe.reason,
        estimates=estimates,
        hopeless=hopeless,
    )


def _best(budget: Budget, estimates: Mapping[str, Estimate]) -> float:
    estimate = estimates[budget.metric]
    return budget.better(estimate.lower, estimate.upper)


def _miss(budget: Budget, estimate: Estimate) -> str:
    best = budget.better(estimate.lower, estimate.upper)
    shown = show_quantity(best, budget.definition.dimension)
    return f"{budget.metric.replace('_', ' ')} is {shown} at best, against {budget.shown}"


def _size(architecture: Architecture, precision: Precision) -> Estimate:
    value = sum(part.bytes for part in weight_parts(architecture, BITS[precision]))
    value += _TOKENIZER_BYTES + _GRAPH_BYTES
    return Estimate(
        value=value,
        lower=value * (1 - _SIZE_BAND),
        upper=value * (1 + _SIZE_BAND),
        basis=f"parameters at {precision}, embeddings in 16 bits; {architecture.basis}",
    )


def _reason(target: Target, needs: Mapping[str, Estimate], best: Form | None, context: int) -> str:
    usable = show_quantity(usable_bytes(target), Dimension.SIZE)
    if best is None:
        return f"it may not fit the {usable} usable on {target.name}; a measurement will tell"
    need = needs[best.recipe.name]
    low, high = (show_quantity(x, Dimension.SIZE, 2) for x in (need.lower, need.upper))
    return (
        f"{best.recipe.name} needs {low} to {high} with {context:,} tokens, of the {usable} usable "
        f"on {target.name}"
    )


def _refusal(
    target: Target,
    name: str,
    architecture: Architecture,
    needs: Mapping[str, Estimate],
    requests: Requests,
) -> str:
    least = min(needs, key=lambda form: needs[form].value)
    need = show_quantity(needs[least].value, Dimension.SIZE, 2)
    usable = show_quantity(usable_bytes(target), Dimension.SIZE)
    asked = FitRequest(model=name, target=target, context=requests.context)
    give_up = fit_inference(asked, name, architecture).give_up
    instead = "".join(f"\n  - {one}" for one in give_up)
    return (
        f"{name} cannot fit {target.name}: even as {least} it needs about {need} with "
        f"{requests.context:,} tokens of context, and {usable} are usable."
        + (f" What would fit:{instead}" if instead else "")
    )
