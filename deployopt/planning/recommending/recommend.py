"""`recommend`: a request in, advice out; arithmetic over the catalogue, nothing is run or fetched.

Looks at every model of the task, refuses with a number, ranks the rest, and says of the first how
to make it small, how and where to train it, and what it costs. Where nothing is in time the
fastest is named with a warning; where nothing fits there is no choice, and the refusals say why.
"""

from collections.abc import Sequence

import msgspec

from deployopt.catalogue.models import entries
from deployopt.core.cost import Cost
from deployopt.core.recommendation import Recommendation
from deployopt.core.request import RecommendRequest
from deployopt.planning.cost import inference_cost, read_prices
from deployopt.planning.cost.prices import Prices
from deployopt.planning.recommending.advice import Advice, advise
from deployopt.planning.recommending.candidate import Candidate
from deployopt.planning.recommending.looking import look
from deployopt.planning.recommending.others import alternatives, trade
from deployopt.planning.recommending.quality import figure, yardstick_of
from deployopt.planning.recommending.ranking import Rules, ranked
from deployopt.planning.recommending.refusing import LATE
from deployopt.planning.recommending.setting import on_gpu, setting_of
from deployopt.planning.recommending.sites import by_memory
from deployopt.planning.recommending.training import ADAPTED
from deployopt.planning.recommending.wants import Wants, read_wants
from deployopt.planning.recommending.warnings import warnings_for


def recommend(request: RecommendRequest) -> Recommendation:
    """The advice; `choice` is None where no model of the catalogue can run on the target.

    Raises:
        UsageError: a count that no one can mean, or a wrong price file.
    """
    wants = read_wants(request)
    prices = read_prices(request.prices)
    candidates = look_at_all(wants)
    order, late = in_order(candidates, wants)
    refused = {c.entry.alias: c.refusal.removeprefix(LATE) for c in candidates if c.refusal}
    if not order:
        return _nothing(wants, refused)
    first = advise(order[0], wants, prices, candidates)
    refused.pop(order[0].entry.alias, None)
    others = tuple(
        msgspec.structs.replace(
            advise(other, wants, prices, candidates).choice, trade=trade(other, order[0])
        )
        for other in ([] if late else alternatives(order))
    )
    return Recommendation(
        task=wants.task,
        target=wants.target,
        examples=wants.examples,
        realtime=wants.realtime,
        choice=first.choice,
        alternatives=others,
        refused=refused,
        cost=_cost(first, wants, prices),
        warnings=tuple(warnings_for(order, first.choice, wants, late=late)),
    )


def look_at_all(wants: Wants) -> tuple[Candidate, ...]:
    """Every model of the task, held against what is wanted."""
    found = entries(wants.task)
    yardstick = yardstick_of(found, wants.task)
    return tuple(look(entry, wants, figure(entry, wants.task, yardstick)) for entry in found)


def in_order(candidates: Sequence[Candidate], wants: Wants) -> tuple[tuple[Candidate, ...], bool]:
    """The best first; and whether all are late, in which case the fastest stand first."""
    rules = Rules(
        examples=wants.examples,
        strict=wants.strict,
        setting=setting_of(wants.target),
        builds=not on_gpu(wants.target),
        adapted=wants.task in ADAPTED,
    )
    order = ranked(candidates, rules)
    if order:
        return order, False
    late = [c for c in candidates if c.refusal.startswith(LATE)]
    return tuple(sorted(late, key=lambda c: c.time_s or float("inf"))), True


def _nothing(wants: Wants, refused: dict[str, str]) -> Recommendation:
    return Recommendation(
        task=wants.task,
        target=wants.target,
        examples=wants.examples,
        realtime=wants.realtime,
        choice=None,
        refused=refused,
        warnings=(_what_would(wants, refused),),
    )


def _what_would(wants: Wants, refused: dict[str, str]) -> str:
    if not refused:
        return f"The catalogue has no model for {wants.task}."
    return (
        f"None of the {len(refused)} models for {wants.task} will do on {wants.target.name}. "
        f"{_way_out(wants)}"
    )


def _way_out(wants: Wants) -> str:
    """The smallest shipped target where something would do; the request as it is otherwise."""
    for target in by_memory(wants.target):
        there = msgspec.structs.replace(wants, target=target)
        if in_order(look_at_all(there), there)[0]:
            return f"On {target.name} ({target.title}) something would."
    return "Loosen the budgets, the length or the licence: no shipped target helps."


def _cost(first: Advice, wants: Wants, prices: Prices) -> Cost | None:
    latency = first.at.predicted.get("latency_s")
    if latency is None:
        return None
    found = inference_cost(
        wants.target,
        latency=latency,
        throughput=first.at.predicted.get("throughput_per_s"),
        energy=first.at.predicted.get("energy_j"),
        prices=prices,
        requests_per_day=wants.requests_per_day,
    )
    training = first.plan.cost if first.plan else None
    return msgspec.structs.replace(found, training=training)
