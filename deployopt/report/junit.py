"""A verdict as JUnit XML, which every CI system shows: one test case a budget.

In: a verdict. Out: bytes. A rejected budget is a failure of type "rejected"; an undecided one is a
failure of type "undecided", for a skipped test would let a pipeline go on.
"""

import xml.etree.ElementTree as ET

from deployopt.core.text import safe_record
from deployopt.core.verdict import Check, Outcome, Verdict
from deployopt.report.words import (
    check_basis,
    check_word,
    dimension_of,
    metric_words,
    show,
    show_bounds,
    show_limit,
)


def verdict_junit(verdict: Verdict, *, name: str = "deployopt", seconds: float = 0.0) -> bytes:
    """One suite; `name` is the model's, `seconds` what the command took."""
    verdict, name = safe_record((verdict, name))
    failures = sum(c.outcome is not Outcome.ACCEPTED for c in verdict.checks)
    # What no single budget says, such as an output that is not finite, rejects too.
    whole = verdict.outcome is not Outcome.ACCEPTED and failures == 0
    suite = ET.Element(
        "testsuite",
        name=f"{name} on {verdict.target}",
        tests=str(len(verdict.checks) + whole),
        failures=str(failures + whole),
        errors="0",
        skipped="0",
        time=f"{seconds:.3f}",
    )
    for check in verdict.checks:
        _case(suite, check, classname=f"deployopt.{verdict.target}")
    if whole:
        case = ET.SubElement(
            suite, "testcase", classname=f"deployopt.{verdict.target}", name="artifact", time="0"
        )
        message = " ".join(verdict.reasons) or verdict.outcome.value
        ET.SubElement(case, "failure", type=verdict.outcome.value, message=message)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _case(suite: ET.Element, check: Check, *, classname: str) -> None:
    dimension = dimension_of(check.metric)
    limit = show_limit(check.limit, dimension)
    title = f"{metric_words(check.metric)} ≤ {limit}"
    case = ET.SubElement(suite, "testcase", classname=classname, name=title, time="0")
    bounds = show_bounds(check.lower, check.upper, dimension)
    lines = [
        f"limit: {limit}",
        f"observed: {show(check.observed, dimension)}",
        f"bounds: {bounds or 'none'}",
        f"evidence: {check_basis(check)}",
        f"reason: {check.reason}",
        *([f"settle: {check.settle}"] if check.settle else []),
    ]
    if check.outcome is Outcome.ACCEPTED:
        ET.SubElement(case, "system-out").text = "\n".join(lines)
        return
    kind = check.outcome.value
    message = f"{check_word(check)}: {check.reason}"
    ET.SubElement(case, "failure", type=kind, message=message).text = "\n".join(lines)
