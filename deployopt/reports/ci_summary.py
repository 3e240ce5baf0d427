"""What a CI service is told of a result: JUnit, annotations, metrics and findings all rest on it.

In: a result record. Out: a summary of one case a budget, every text on one safe line.
"""

from deployopt.core.metric import METRICS
from deployopt.core.result import BuildResult, CompareResult, StageTime, VerifyResult
from deployopt.core.search import SearchResult
from deployopt.core.text import safe_record
from deployopt.core.units import Dimension
from deployopt.core.verdict import Check, Outcome, Verdict
from deployopt.reports.ci_comparison import comparison_cases
from deployopt.reports.ci_record import ACCEPTED, REJECTED, UNIT_NAMES, CiCase, CiFigure, CiSummary
from deployopt.reports.comparison_words import in_short
from deployopt.reports.search_words import search_facts
from deployopt.reports.signing import authenticity_words
from deployopt.reports.words import (
    budget_words,
    check_basis,
    check_word,
    dimension_of,
    sentences,
    show,
    show_bounds,
    show_limit,
    verdict_words,
)


def build_summary(result: BuildResult) -> CiSummary:
    """A build; one that was stopped before any work is a single rejected case."""
    result = safe_record(result)
    facts = _search_facts(result, result.search) if result.search is not None else ()
    verdict = result.verdict
    cases: tuple[CiCase, ...]
    if verdict is None:
        reason = result.plan.fit_reason
        cases = (CiCase(name="fit", title="fits the target", word=REJECTED, message=reason),)
        word, says = REJECTED, "nothing was built"
    else:
        cases, word, says = verdict_cases(verdict), verdict.word, verdict_words(verdict)
    baseline = result.baseline
    if baseline is not None:
        cases = (*cases, *comparison_cases(baseline))
        if word == ACCEPTED and result.exit_code:
            word, says = baseline.outcome.value, in_short(baseline)
    return CiSummary(
        name=result.model,
        target=result.target,
        word=word,
        exit_code=result.exit_code,
        says=says,
        cases=cases,
        facts=facts,
        bundle=result.bundle,
        seconds=_seconds(result.stages),
    )


def _search_facts(result: BuildResult, search: SearchResult) -> tuple[tuple[str, str], ...]:
    """What a search tried, why its winner won, and what to relax where there is none."""
    told = (("Why", search.why), ("Nearest", search.nearest_miss or ""))
    relax = tuple(("Relax", text) for text in search.relax)
    return (*search_facts(result, search), *(pair for pair in told if pair[1]), *relax)


def verify_summary(result: VerifyResult) -> CiSummary:
    """A verification."""
    result = safe_record(result)
    return CiSummary(
        name=result.name,
        target=result.target,
        word=result.verdict.word,
        exit_code=result.exit_code,
        says=verdict_words(result.verdict),
        cases=verdict_cases(result.verdict),
        facts=(("signature", authenticity_words(result.authenticity)),),
        bundle=result.bundle,
        seconds=_seconds(result.stages),
    )


def compare_summary(result: CompareResult) -> CiSummary:
    """A comparison: a case an aspect; under the target that the new bundle is for."""
    result = safe_record(result)
    found = result.comparison
    return CiSummary(
        name=found.new.name,
        target=found.new.target,
        word=found.outcome.value,
        exit_code=result.exit_code,
        says=in_short(found),
        cases=comparison_cases(found),
        facts=(("old", found.old.bundle or found.old.name),),
        bundle=found.new.bundle,
        seconds=_seconds(result.stages),
    )


def verdict_cases(verdict: Verdict) -> tuple[CiCase, ...]:
    """A case a budget, and one for what no budget says, such as an output that is not finite."""
    verdict = safe_record(verdict)
    cases = tuple(_case(check) for check in verdict.checks)
    explained = any(check.outcome is not Outcome.ACCEPTED for check in verdict.checks)
    if verdict.outcome is Outcome.ACCEPTED or (explained and not verdict.reasons):
        return cases
    message = " ".join(verdict.reasons) or verdict.outcome.value
    whole = CiCase(
        name="artifact", title="the artifact", word=verdict.outcome.value, message=message
    )
    return (*cases, whole)


def _case(check: Check) -> CiCase:
    dimension = dimension_of(check.metric)
    limit = show_limit(check.limit, dimension)
    details = (
        f"limit: {limit}",
        f"observed: {show(check.observed, dimension)}",
        f"bounds: {show_bounds(check.lower, check.upper, dimension) or 'none'}",
        f"evidence: {check_basis(check)}",
        f"reason: {check.reason}",
        *([f"settle: {check.settle}"] if check.settle else []),
    )
    return CiCase(
        name=check.metric,
        title=budget_words(check.metric, check.limit),
        word=check_word(check),
        message=sentences(check.reason, check.settle),
        details=details,
        figures=_figures(check, dimension),
    )


def _figures(check: Check, dimension: Dimension | None) -> tuple[CiFigure, ...]:
    unit = UNIT_NAMES.get(dimension, "") if dimension is not None else ""
    higher = check.metric in METRICS and METRICS[check.metric].higher
    bound = ("lower", check.lower) if higher else ("upper", check.upper)
    found = (("", check.observed), bound, ("limit", check.limit))
    return tuple(
        CiFigure(name=name, unit=unit, value=float(value))
        for name, value in found
        if value is not None
    )


def _seconds(stages: tuple[StageTime, ...]) -> float:
    return sum(stage.seconds for stage in stages)
