"""A comparison as cases: one an aspect that was held against the older bundle."""

from typing import Final

from deployopt.core.comparison import Change, Comparison, Difference
from deployopt.core.text import safe_record
from deployopt.core.verdict import Outcome
from deployopt.reports.ci_record import ACCEPTED, REJECTED, UNDECIDED, CiCase, CiFigure
from deployopt.reports.comparison_words import (
    aspect_words,
    bounds_words,
    by_how_much,
    change_word,
    change_words,
    new_words,
    old_words,
)
from deployopt.reports.words import evidence_words, sentences

_WORDS: Final = {Change.REGRESSED: REJECTED, Change.UNDECIDED: UNDECIDED}


def comparison_cases(comparison: Comparison) -> tuple[CiCase, ...]:
    """A case a difference, and one for what holds for the whole, such as a crash."""
    comparison = safe_record(comparison)
    cases = tuple(_case(one) for one in comparison.differences)
    explained = any(case.word != ACCEPTED for case in cases)
    if comparison.outcome is Outcome.ACCEPTED or (explained and not comparison.reasons):
        return cases
    word = comparison.outcome.value
    message = " ".join(comparison.reasons) or word
    return (*cases, CiCase(name="baseline", title="the new bundle", word=word, message=message))


def _case(found: Difference) -> CiCase:
    word = _WORDS.get(found.outcome, ACCEPTED)
    told = by_how_much(found) if found.outcome is Change.REGRESSED else change_word(found)
    details = (
        f"old: {old_words(found)}",
        f"new: {new_words(found)}",
        f"change: {change_words(found)}",
        f"bounds: {bounds_words(found)}",
        f"evidence: {evidence_words(found.evidence)}",
        f"reason: {found.reason}",
        *([f"settle: {found.settle}"] if found.settle else []),
    )
    numbers = (("", found.change), ("upper", found.upper), ("limit", found.limit))
    return CiCase(
        name=f"{found.aspect}_change",
        title=f"{aspect_words(found)} against the baseline",
        word=word,
        message=sentences(told, found.reason, found.settle),
        details=details,
        figures=tuple(
            CiFigure(name=name, unit="ratio", value=float(value))
            for name, value in numbers
            if value is not None
        ),
    )
