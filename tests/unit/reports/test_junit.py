"""JUnit: one case a budget; what is not accepted fails the pipeline."""

import pytest

from deployopt.reports.ci_summary import build_summary
from deployopt.reports.junit import summary_junit
from tests.fakes import results, search
from tests.fakes.markup import read_xml
from tests.fakes.payloads import payloads


@pytest.mark.parametrize(
    ("word", "failures"), [("accepted", 0), ("rejected", 1), ("undecided", 1), ("provisional", 2)]
)
def test_one_case_a_budget(word: str, failures: int) -> None:
    suite = read_xml(summary_junit(build_summary(results.build_result(word))))[0]
    assert suite.get("tests") == "4"
    assert suite.get("failures") == str(failures)
    assert suite.get("time") == "92.400"
    assert len(suite.findall("testcase")) == 4
    found = suite.findall("testcase/failure")
    assert len(found) == failures
    kind = "undecided" if word == "provisional" else word
    assert all(f.get("type") == kind for f in found)
    assert all("evidence: " in str(f.text) for f in found)


def test_a_provisional_bundle_that_is_taken_passes_and_says_so() -> None:
    taken = build_summary(results.build_result("provisional", exit_code=0))
    suite = read_xml(summary_junit(taken))[0]
    assert suite.get("failures") == "0"
    told = [str(out.text).splitlines()[0] for out in suite.iter("system-out")]
    assert told.count("outcome: provisional") == 2


def test_what_a_search_found_stands_as_properties() -> None:
    suite = read_xml(summary_junit(build_summary(search.build())))[0]
    assert suite[0].tag == "properties"
    found = {str(p.get("name")): str(p.get("value")) for p in suite.iter("property")}
    assert found["deployopt.trained"].startswith("14 trainings on 3 rungs")
    assert found["deployopt.bundle"] == "/home/ada/bundles/demo-sentiment-rpi4"
    nothing = summary_junit(build_summary(results.build_result("rejected")))
    assert read_xml(nothing).find(".//properties") is None


def test_what_cannot_fit_is_a_failure() -> None:
    suite = read_xml(summary_junit(build_summary(results.cannot_fit())))[0]
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")


@pytest.mark.parametrize("payload", payloads()[::25])
def test_hostile_text_leaves_valid_xml(payload: str) -> None:
    for result in (results.hostile(payload), search.hostile(payload)):
        suite = read_xml(summary_junit(build_summary(result)))[0]
        assert len(suite.findall("testcase")) == 4
