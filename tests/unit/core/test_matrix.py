"""Names of cells, what a failure is, and the exit code of the worst."""

from pathlib import Path

import pytest

from deployopt.core.codec import decode_json, encode_json
from deployopt.core.errors import CannotFitError, IntegrityError, StepError
from deployopt.core.matrix import CellName, CellRequest, CellResult, Word, failed, worst
from tests.fakes.cells import cell, result_of


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 0), ([0, 0], 0), ([0, 3], 3), ([3, 1], 1), ([1, 2, 3], 2), ([2, 5, 1], 5),
        ([0, 5, 4], 4),
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
