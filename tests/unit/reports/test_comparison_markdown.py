"""A comparison for a pull request."""

import msgspec
import pytest

from deployopt.core.verdict import Outcome
from deployopt.reports.comparison_markdown import compare_markdown
from deployopt.reports.html import build_page
from deployopt.reports.markdown import build_markdown
from tests.fakes.comparing import comparison, result
from tests.fakes.results import build_result


@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_outcome_first_and_a_row_an_aspect(outcome: Outcome) -> None:
    lines = compare_markdown(result(outcome)).splitlines()
    assert lines[0].startswith("### ")
    assert lines[0].endswith(f"demo-new against demo-old: {outcome.value}")
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) == 2 + len(comparison().differences)
    assert "Margins: 5 % of latency, memory and size; 1 pt of accuracy." in lines


def test_nothing_is_markup() -> None:
    found = comparison(name="[a](http://b) <b> @ada", notes=("<script>",))
    text = compare_markdown(msgspec.structs.replace(result(), comparison=found))
    assert "<b>" not in text
    assert "<script>" not in text
    assert "](http" not in text


def test_a_build_tells_of_its_baseline() -> None:
    built = build_result(baseline=comparison(Outcome.REJECTED))
    text = build_markdown(built)
    assert "#### Against the baseline" in text
    assert "Regressed: latency p50" in text
    assert "Against the baseline" not in build_markdown(build_result())
    page = build_page(built).decode()
    assert "Against the baseline" in page
    assert "latency p50" in page
