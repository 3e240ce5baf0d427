"""JUnit: one case a budget; what is not accepted fails the pipeline."""

import msgspec
import pytest

from deployopt.core.verdict import Outcome
from deployopt.report.junit import verdict_junit
from tests.fakes import results
from tests.fakes.markup import read_xml
from tests.fakes.payloads import payloads


@pytest.mark.parametrize(
    ("word", "failures"), [("accepted", 0), ("rejected", 1), ("undecided", 1), ("provisional", 2)]
)
def test_one_case_a_budget(word: str, failures: int) -> None:
    suite = read_xml(verdict_junit(results.verdict(word), name="demo", seconds=1.5))[0]
    assert suite.get("tests") == "4"
    assert suite.get("failures") == str(failures)
    assert len(suite.findall("testcase")) == 4
    found = suite.findall("testcase/failure")
    assert len(found) == failures
    kind = "undecided" if word == "provisional" else word
    assert all(f.get("type") == kind for f in found)


def test_a_rejection_that_no_budget_explains_fails_too() -> None:
    verdict = msgspec.structs.replace(
        results.verdict("accepted"),
        outcome=Outcome.REJECTED,
        reasons=("3 outputs were not finite.",),
    )
    suite = read_xml(verdict_junit(verdict))[0]
    assert suite.get("failures") == "1"
    assert suite.get("tests") == "5"
    assert "not finite" in str(suite.findall("testcase/failure")[0].get("message"))


@pytest.mark.parametrize("payload", payloads()[::25])
def test_hostile_text_leaves_valid_xml(payload: str) -> None:
    verdict = results.hostile(payload).verdict
    assert verdict is not None
    suite = read_xml(verdict_junit(verdict, name=payload))[0]
    assert len(suite) == 4
