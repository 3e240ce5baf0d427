"""Steps that were run come first; only what was measured on its target is compared."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.figure import Figure
from deployopt.core.matrix import CellResult, CellStep, Word
from deployopt.reports.matrix_tables import STEPS, by_target, predictions, slowest_steps
from tests.fakes.cells import cell, result_of


@pytest.fixture
def plain(tmp_path: Path) -> CellResult:
    return result_of(cell(store=tmp_path / "store"))


def with_steps(plain: CellResult, *steps: tuple[str, float, bool]) -> CellResult:
    made = tuple(CellStep(recipe="int8", name=n, seconds=s, reused=r) for n, s, r in steps)
    return msgspec.structs.replace(plain, steps=made)


def test_what_was_run_comes_before_what_was_found(plain: CellResult) -> None:
    found = with_steps(
        plain, ("export", 9.0, True), ("optimize", 1.0, False), ("quant", 3.0, False)
    )
    earlier = msgspec.structs.replace(with_steps(plain, ("old", 99.0, False)), reused=True)
    rows, said = slowest_steps([found, earlier])
    assert [(row.step, row.how) for row in rows] == [
        ("quant", "run"),
        ("optimize", "run"),
        ("export", "cached"),
    ]
    assert said.startswith("2 steps were run, 4.00 s in all; 1 were in the store")
    assert slowest_steps([earlier]) == ([], "")
    many = with_steps(plain, *((f"s{n}", float(n), False) for n in range(100)))
    assert len(slowest_steps([many])[0]) == STEPS


@pytest.mark.parametrize(
    ("evidence", "shown"),
    [(Evidence.TARGET, 1), (Evidence.EXACT, 1), (Evidence.PROXY, 0), (Evidence.PREDICTED, 0)],
)
def test_only_what_can_be_compared_is(plain: CellResult, evidence: Evidence, shown: int) -> None:
    estimate = Estimate(value=0.010, lower=0.005, upper=0.019, basis="datasheet")
    one = msgspec.structs.replace(
        plain,
        foreseen={"latency_p95": estimate},
        figures={"latency_p95": Figure(value=0.020, evidence=evidence)},
    )
    rows, said = predictions([one])
    assert len(rows) == shown
    if rows:
        assert (rows[0].predicted, rows[0].measured) == ("10 ms", "20.0 ms")
        assert (rows[0].ratio, rows[0].inside) == ("2.00 x", False)
        assert said.startswith("0 of 1 measurements lie inside the band")
        assert "80%" in said


def test_cells_are_counted_by_target_and_word(plain: CellResult) -> None:
    rejected = msgspec.structs.replace(plain, word=Word.REJECTED)
    (row,) = by_target([plain, rejected, rejected])
    assert row.target == "rpi4"
    assert dict(zip(Word, row.counts, strict=True))[Word.REJECTED] == 2
