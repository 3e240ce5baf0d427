"""What a search came to, in words: the front, why the winner won, or what would have to give.

In: a search and the result of the whole build. Out: the search with its conclusions. Light: reads
numbers that are there.
"""

from collections.abc import Sequence

import msgspec

from deployopt.catalogue.models import entries
from deployopt.core.metric import METRICS, Kind
from deployopt.core.result import BuildResult, CandidateResult
from deployopt.core.search import SearchResult
from deployopt.core.units import show_quantity
from deployopt.core.verdict import Check, Outcome
from deployopt.pipeline.preparing import Prepared


def concluded(
    found: SearchResult | None, result: BuildResult, prepared: Prepared
) -> SearchResult | None:
    """The search with its front, and the winner's reason or the nearest miss."""
    if found is None:
        return None
    front = tuple(one.recipe for one in front_of(result.candidates))
    accepted = result.verdict is not None and result.verdict.outcome is not Outcome.REJECTED
    if accepted:
        return msgspec.structs.replace(found, front=front, why=_why(result))
    return msgspec.structs.replace(
        found, front=front, nearest_miss=_miss(result), relax=_relax(result, prepared)
    )


def front_of(candidates: Sequence[CandidateResult]) -> list[CandidateResult]:
    """Those that no other one beats in both median latency and observed loss, fastest first."""
    places = [(one, place) for one in candidates if (place := _place(one)) is not None]
    places.sort(key=lambda pair: pair[1])
    front: list[CandidateResult] = []
    least = float("inf")
    for one, (_, loss) in places:
        if loss < least:
            front.append(one)
            least = loss
    return front


def _place(one: CandidateResult) -> tuple[float, float] | None:
    if one.failure is not None or one.latency is None or one.accuracy is None:
        return None
    median, loss = one.latency.median.value, one.accuracy.loss.value
    return None if median is None or loss is None else (median, loss)


def _why(result: BuildResult) -> str:
    chosen = result.chosen
    if chosen is None or chosen.latency is None:
        return ""
    bound = (
        ""
        if result.gate is None or result.gate.loss.upper is None
        else (f"; at the gate its loss is at most {100 * result.gate.loss.upper:.2f} points")
    )
    faster = [one.recipe for one in result.candidates if not one.chosen and _faster(one, chosen)]
    others = f" Faster, but not certified: {', '.join(faster)}." if faster else ""
    return f"{chosen.recipe} is the fastest that was certified{bound}.{others}"


def _faster(one: CandidateResult, chosen: CandidateResult) -> bool:
    mine, theirs = _place(one), _place(chosen)
    return mine is not None and theirs is not None and mine[0] < theirs[0]


def _missed(result: BuildResult) -> list[Check]:
    if result.verdict is None:
        return []
    return [c for c in result.verdict.checks if c.outcome is Outcome.REJECTED]


def _miss(result: BuildResult) -> str:
    """Which candidate was judged, and what it missed by how much."""
    chosen = result.chosen
    missed = [
        f"{check.metric.replace('_', ' ')} is {_shown(check, check.observed)} where "
        f"{_shown(check, check.limit)} is allowed"
        for check in _missed(result)
        if check.observed is not None
    ]
    name = "no candidate" if chosen is None else chosen.recipe
    return f"{name}: {', '.join(missed) or 'a budget was missed'}"


def _relax(result: BuildResult, prepared: Prepared) -> tuple[str, ...]:
    """What each missed budget would have to be, and a smaller model that may do."""
    found = [
        f"--budget {check.metric}={_option(check)} would have been met by {_best(result)}"
        for check in _missed(result)
        if check.observed is not None
    ]
    slow = any(METRICS[check.metric].kind is Kind.LATENCY for check in _missed(result))
    entry = next((e for e in entries() if e.alias == prepared.source.name), None)
    if slow and entry is not None and entry.students:
        found.append(
            f"a smaller model of the same labels may do: {', '.join(entry.students)} "
            f"(deployopt plan --target {result.target} --model {entry.students[0]})"
        )
    return tuple(found)


def _best(result: BuildResult) -> str:
    return "the candidate that was judged" if result.chosen is None else result.chosen.recipe


def _shown(check: Check, value: float | None) -> str:
    return "?" if value is None else show_quantity(value, METRICS[check.metric].dimension)


def _option(check: Check) -> str:
    """The bound that was missed, as an option takes it, a little above."""
    worse = check.lower if METRICS[check.metric].higher else check.upper
    worst = worse if worse is not None else check.observed
    return _shown(check, worst).replace(" ", "").replace("\u00a0", "")
