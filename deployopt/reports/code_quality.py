"""A result as GitLab's code quality report: one finding a budget that is not met.

In: a CI summary. Out: JSON, an empty list where everything is accepted. A finding's fingerprint
follows from the model, the target and the budget, so that a merge request shows which are new.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.core.codec import encode_json, encode_pretty
from deployopt.reports.ci_record import CiCase, CiSummary
from deployopt.reports.github import Place

_SEVERITY: Final = {"rejected": "critical", "undecided": "major", "provisional": "minor"}
_ANYWHERE: Final = Place(path="deployopt.toml", line=1)


class _Lines(msgspec.Struct, frozen=True, kw_only=True):
    begin: int


class _Location(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    lines: _Lines


class _Finding(msgspec.Struct, frozen=True, kw_only=True):
    """As GitLab reads it, a subset of Code Climate's form."""

    description: str
    check_name: str
    fingerprint: str
    severity: str
    location: _Location


def code_quality(summary: CiSummary, places: Mapping[str, Place] | None = None) -> bytes:
    """The findings; `places` maps a case's name to where its budget is written."""
    found = [
        _finding(summary, case, (places or {}).get(case.name, _ANYWHERE))
        for case in summary.cases
        if summary.stopped_by(case)
    ]
    return encode_pretty(found)


def _finding(summary: CiSummary, case: CiCase, place: Place) -> _Finding:
    told = f"{summary.name} on {summary.target}: {case.title} is {case.word}. {case.message}"
    of = encode_json([summary.name, summary.target, case.name, case.title])
    return _Finding(
        description=told,
        check_name=f"deployopt.{case.name}",
        fingerprint=hashlib.sha256(of).hexdigest(),
        severity=_SEVERITY.get(case.word, "critical"),
        location=_Location(path=place.path, lines=_Lines(begin=place.line)),
    )
