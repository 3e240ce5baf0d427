"""A case a cell, a gauge a figure."""

import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec

from deployopt.core.matrix import Word
from deployopt.reports.junit import summary_junit
from deployopt.reports.matrix_ci import matrix_metrics, matrix_summary
from tests.fakes.matrices import matrix_of


def test_junit_has_a_case_a_cell(tmp_path: Path) -> None:
    suite = ET.fromstring(summary_junit(matrix_summary(matrix_of(tmp_path))))[0]  # noqa: S314 -- ours
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    kinds = [case.find("failure") for case in suite.iter("testcase")]
    assert [None if kind is None else kind.get("type") for kind in kinds] == [
        None, "rejected", "failed",
    ]  # fmt: skip


def test_what_the_matrix_takes_passes_beside_what_it_does_not(tmp_path: Path) -> None:
    result = matrix_of(tmp_path)
    taken = msgspec.structs.replace(result.cells[0], word=Word.PROVISIONAL, exit_code=0)
    left = msgspec.structs.replace(result.cells[0], word=Word.PROVISIONAL, exit_code=3)
    both = msgspec.structs.replace(result, cells=(taken, left))
    suite = ET.fromstring(summary_junit(matrix_summary(both)))[0]  # noqa: S314 -- ours
    assert suite.get("failures") == "1"
    assert [case.find("failure") is None for case in suite.iter("testcase")] == [True, False]


def test_metrics_are_openmetrics(tmp_path: Path) -> None:
    lines = matrix_metrics(matrix_of(tmp_path)).decode().splitlines()
    assert lines[-1] == "# EOF"
    assert 'deployopt_cell_accepted{model="a",target="rpi4"} 1' in lines
    assert 'deployopt_cell_exit_code{model="c",target="rpi4"} 5' in lines
    assert 'deployopt_cell_latency_p95_seconds{model="a",target="rpi4"} 0.0142' in lines
    assert 'deployopt_cell_latency_p95_upper_seconds{model="a",target="rpi4"} 0.0151' in lines
    assert "deployopt_matrix_exit_code 5" in lines
    named = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert named == sorted(set(named))
    for line in lines:
        if not line.startswith("#"):
            assert line.split("{")[0].split()[0] in named
