"""A result as JUnit XML, which every CI system shows: one test case a budget.

In: a CI summary. Out: bytes. A rejected budget is a failure of type "rejected"; an undecided one is
a failure of type "undecided", for a skipped test would let a pipeline go on. What the command was
told to take all the same, such as predictions, passes and says so. What else was found, such as
what a search tried, stands as properties of the suite.
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from deployopt.core.text import safe_record
from deployopt.reports.ci_record import PROVISIONAL, UNDECIDED, CiCase, CiSummary


def summary_junit(summary: CiSummary) -> bytes:
    """One suite of one summary."""
    return summaries_junit((summary,))


def summaries_junit(summaries: Sequence[CiSummary]) -> bytes:
    """A suite each."""
    root = ET.Element("testsuites")
    for summary in safe_record(tuple(summaries)):
        root.append(_suite(summary))
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(summary: CiSummary) -> ET.Element:
    suite = ET.Element(
        "testsuite",
        name=f"{summary.name} on {summary.target}",
        tests=str(len(summary.cases)),
        failures=str(sum(summary.stopped_by(case) for case in summary.cases)),
        errors="0",
        skipped="0",
        time=f"{summary.seconds:.3f}",
    )
    if summary.facts or summary.bundle:
        properties = ET.SubElement(suite, "properties")
        named = [(name.casefold(), text) for name, text in summary.facts]
        for name, text in [*named, *([("bundle", summary.bundle)] if summary.bundle else [])]:
            ET.SubElement(properties, "property", name=f"deployopt.{name}", value=text)
    for case in summary.cases:
        _add_case(suite, case, summary)
    return suite


def _add_case(suite: ET.Element, case: CiCase, summary: CiSummary) -> None:
    element = ET.SubElement(
        suite, "testcase", classname=f"deployopt.{summary.target}", name=case.title, time="0"
    )
    text = "\n".join(case.details)
    if not summary.stopped_by(case):
        ET.SubElement(element, "system-out").text = "\n".join([f"outcome: {case.word}", text])
        return
    kind = UNDECIDED if case.word == PROVISIONAL else case.word
    message = f"{case.word}: {case.message}"
    ET.SubElement(element, "failure", type=kind, message=message).text = text
