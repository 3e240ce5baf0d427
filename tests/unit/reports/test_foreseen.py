"""A prediction beside what was measured."""

import io

import msgspec
import pytest
from rich.console import Console

from deployopt.core.evidence import Evidence
from deployopt.core.result import BuildResult, VerifyResult
from deployopt.reports.foreseen import foreseen
from deployopt.reports.html import build_page
from deployopt.reports.markdown import build_markdown, verify_markdown
from deployopt.reports.terminal import print_build, print_verify
from tests.fakes import results

EXPECTED = {
    "latency_p95": results.estimate(0.055, 0.6),
    "artifact_size": results.estimate(40 * 2**20, 0.05),
    "memory_peak": results.estimate(0.0),
}
LATENCY = "predicted 55 ms (22 ms to 88 ms), measured 16.1 ms: 0.3 x, outside the band"
SIZE = "predicted 40 MiB (38 MiB to 42 MiB), measured 65.3 MiB: 1.6 x, outside the band"


def test_value_band_measurement_and_ratio() -> None:
    judged = results.verdict("accepted")
    assert foreseen(EXPECTED, judged) == [("artifact size", SIZE), ("latency p95", LATENCY)]
    near = {"latency_p95": results.estimate(0.016)}
    assert foreseen(near, judged) == [
        ("latency p95", "predicted 16 ms (10 ms to 22 ms), measured 16.1 ms: 1.0 x")
    ]


@pytest.mark.parametrize("evidence", [Evidence.PROXY, Evidence.PREDICTED, None])
def test_what_was_not_measured_on_the_target_is_not_compared(evidence: Evidence | None) -> None:
    judged = results.verdict("accepted")
    checks = tuple(msgspec.structs.replace(c, evidence=evidence) for c in judged.checks)
    assert foreseen(EXPECTED, msgspec.structs.replace(judged, checks=checks)) == []


def test_nothing_expected_or_judged_is_nothing() -> None:
    assert foreseen({}, results.verdict("accepted")) == []
    assert foreseen(EXPECTED, None) == []


def _build() -> BuildResult:
    found = results.build_result("accepted")
    candidates = tuple(msgspec.structs.replace(c, predicted=EXPECTED) for c in found.candidates)
    return msgspec.structs.replace(found, candidates=candidates)


def _verification() -> VerifyResult:
    return msgspec.structs.replace(results.verify_result(), predicted=EXPECTED)


def test_it_stands_in_every_report() -> None:
    made = [build_markdown(_build()), verify_markdown(_verification())]
    made += [build_page(_build(), None, [_verification()]).decode()]
    terminals = [Console(file=io.StringIO(), width=80) for _ in range(2)]
    print_build(_build(), terminals[0])
    print_verify(_verification(), terminals[1])
    for console in terminals:
        assert isinstance(console.file, io.StringIO)
        assert max(map(len, console.file.getvalue().splitlines())) <= 80
        made.append(" ".join(console.file.getvalue().split()))
    for text in made:
        plain = text.replace("\\", "")
        assert LATENCY in plain
        assert SIZE in plain
    assert made[2].count("Predicted and measured") == 2
