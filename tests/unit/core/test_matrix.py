"""Names of cells, what a failure is, and the exit code of the worst."""

from pathlib import Path

import pytest

from deployopt.core.codec import decode_json, encode_json
from deployopt.core.errors import CannotFitError, IntegrityError, StepError
from deployopt.core.evidence import Evidence
from deployopt.core.matrix import CellName, CellRequest, CellResult, Word, failed, worst
from deployopt.core.verdict import Check, Outcome, Verdict
from tests.fakes.cells import cell, result_of


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 0), ([0, 0], 0), ([0, 3], 3), ([3, 1], 1), ([1, 2, 3], 2), ([2, 5, 1], 5),
        ([0, 5, 4], 4), ([0, 99], 5), ([1, -9], 5),
    ],
)  # fmt: skip
def test_the_worst_decides(codes: list[int], code: int) -> None:
    assert worst(codes) == code


def test_a_cell_is_called_by_its_parts() -> None:
    assert CellName(model="m", target="t").id == "m-t"
    assert CellName(model="m", target="t", variant="v").id == "m-t-v"


def test_what_travels_is_json(tmp_path: Path) -> None:
    request = cell(store=tmp_path)
    assert decode_json(encode_json(request), CellRequest, where="a request") == request
    result = result_of(request)
    assert decode_json(encode_json(result), CellResult, where="a result") == result


def test_what_cannot_fit_is_rejected_and_the_rest_failed(tmp_path: Path) -> None:
    request = cell(store=tmp_path)
    found = [failed(request, kind("why")) for kind in (CannotFitError, StepError, IntegrityError)]
    assert [(one.word, one.exit_code) for one in found] == [
        (Word.REJECTED, 1),
        (Word.FAILED, 5),
        (Word.FAILED, 4),
    ]
    assert found[0].summary == "why"


def check(metric: str, outcome: Outcome, observed: float | None = 2.0**20) -> Check:
    return Check(
        metric=metric, limit=1024.0, outcome=outcome, evidence=Evidence.EXACT, observed=observed,
        reason="a reason",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        (
            [check("latency_p95", Outcome.UNDECIDED), check("artifact_size", Outcome.REJECTED)],
            "artifact size: 1.00 MiB, and the budget is ≤ 1.00 KiB (a reason)",
        ),
        (
            [check("latency_p95", Outcome.UNDECIDED), check("artifact_size", Outcome.ACCEPTED)],
            "latency p95: a reason",
        ),
        ([check("memory_peak", Outcome.REJECTED, None)], "memory peak: a reason"),
        ([check("of_another_version", Outcome.REJECTED)], "of another version: a reason"),
        ([check("artifact_size", Outcome.ACCEPTED)], ""),
    ],
)
def test_what_decides_a_verdict_is_its_reason(
    tmp_path: Path, checks: list[Check], said: str
) -> None:
    verdict = Verdict(
        target="rpi4", artifact="0" * 64, outcome=Outcome.REJECTED, provisional=False,
        checks=tuple(checks),
    )  # fmt: skip
    assert result_of(cell(store=tmp_path), Word.REJECTED, verdict=verdict).summary == said
