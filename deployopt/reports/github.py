"""GitHub's workflow commands: annotations for the log and the changed files, outputs for steps.

In: a CI summary. Out: lines and text in which no value can begin a command or end its own field.
"""

import secrets
from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.core.text import safe_text
from deployopt.reports.ci_record import CiSummary

_LEVELS: Final = {
    "accepted": "notice",
    "provisional": "warning",
    "undecided": "warning",
    "rejected": "error",
}
_ORDER: Final = ("error", "warning", "notice")
_IN_DATA: Final = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
_IN_PROPERTIES: Final = (*_IN_DATA, (":", "%3A"), (",", "%2C"))
_TITLE: Final = 200
SUMMARY_MAX: Final = 2**20
"""Bytes that a step may write to its summary; GitHub drops what is larger."""
_CUT: Final = "\n\n(Cut here: a step's summary may have 1 MiB.)\n"


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where in the repository a budget is written; lines count from 1."""

    path: str
    line: int


def annotations(summary: CiSummary, places: Mapping[str, Place] | None = None) -> list[str]:
    """Commands for stdout: one a case that stops the result, errors first, else one notice.

    `places` maps a case's name to where its budget is written.
    """
    about = f"{summary.name} on {summary.target}"
    stopping = [case for case in summary.cases if summary.stopped_by(case)]
    if not stopping:
        level = _LEVELS.get(summary.word, "warning")
        return [_command(level, f"deployopt: {summary.word}", f"{about}: {summary.says}.", None)]
    made = [
        (
            _LEVELS.get(case.word, "error"),
            _command(
                _LEVELS.get(case.word, "error"),
                f"deployopt: {case.word}: {case.title}",
                f"{about}: {case.title} is {case.word}. {case.message}",
                (places or {}).get(case.name),
            ),
        )
        for case in stopping
    ]
    return [line for level in _ORDER for found, line in made if found == level]


def step_outputs(summary: CiSummary, delimiter: str | None = None) -> str:
    """`verdict`, `exit-code` and `bundle` in the form that GITHUB_OUTPUT takes.

    The delimiter is random, so that no value can hold it.
    """
    named = (
        ("verdict", summary.word),
        ("exit-code", str(summary.exit_code)),
        ("bundle", summary.bundle or ""),
    )
    mark = delimiter or f"deployopt_{secrets.token_hex(16)}"
    if any(mark in value for _, value in named):
        raise ValueError("an output holds the delimiter")
    return "".join(f"{name}<<{mark}\n{value}\n{mark}\n" for name, value in named)


def clipped_summary(text: str, room: int = SUMMARY_MAX) -> bytes:
    """The summary as UTF-8, whole lines of it where it has more than `room` bytes."""
    data = text.encode("utf-8", "replace")
    if len(data) <= room:
        return data
    kept = data[: max(0, room - len(_CUT.encode()))]
    return kept[: kept.rfind(b"\n") + 1] + _CUT.encode()


def _command(level: str, title: str, message: str, place: Place | None) -> str:
    properties = {"title": safe_text(title, _TITLE)}
    if place is not None:
        properties |= {"file": place.path, "line": str(place.line)}
    shown = ",".join(f"{name}={_escaped(v, _IN_PROPERTIES)}" for name, v in properties.items())
    return f"::{level} {shown}::{_escaped(safe_text(message), _IN_DATA)}"


def _escaped(text: str, rules: tuple[tuple[str, str], ...]) -> str:
    for character, code in rules:
        text = text.replace(character, code)
    return text
