"""A row a cell at 80 columns; nothing a name holds is obeyed; bad ones are never hidden first."""

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from deployopt.core.matrix import CellName, CellResult, MatrixResult, Word, foremost_cells
from deployopt.reports.matrix import MOST, cell_line, print_matrix
from tests.fakes.matrices import matrix_of


def printed(result: MatrixResult) -> str:
    console = Console(file=io.StringIO(), width=80)
    print_matrix(result, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_matrix_is_a_table_of_80_columns(tmp_path: Path) -> None:
    text = printed(matrix_of(tmp_path))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "✓ a-rpi4" in text
    assert "✗ b-rpi4" in text
    assert "! c-rpi4" in text
    assert "14.2 ms" in text
    assert "rejected: latency p95: too slow" in " ".join(text.split())
    assert "failed: The step failed." in " ".join(text.split())
    assert "3 cells: 1 accepted, 1 rejected, 1 failed" in text
    assert text.splitlines()[-1] == "exit 5"


def test_the_same_again_is_said(tmp_path: Path) -> None:
    result = matrix_of(tmp_path)
    again = msgspec.structs.replace(result, reused=len(result.cells))
    assert "nothing was rebuilt, nothing was measured" in printed(again)


def test_nothing_in_a_name_is_obeyed(tmp_path: Path) -> None:
    result = matrix_of(tmp_path)
    evil = msgspec.structs.replace(result.cells[2], error="\x1b[2J::error::[red]x", recipe="[b]x")
    text = printed(msgspec.structs.replace(result, cells=(evil,)))
    assert "\x1b" not in text
    assert "::" not in text
    assert "[red]x" in text


def named(at: int, code: int) -> CellResult:
    return CellResult(
        name=CellName(model=f"m{at}", target="t"), key="", word=Word.ACCEPTED, exit_code=code
    )


@pytest.mark.parametrize("bad", [0, 5, MOST + 7])
def test_the_worst_are_shown_first_and_in_order(bad: int) -> None:
    cells = [named(at, 1 if at >= 3 * MOST - bad else 0) for at in range(3 * MOST)]
    shown = foremost_cells(cells, MOST)
    assert len(shown) == MOST
    assert sum(cell.exit_code for cell in shown) == min(bad, MOST)
    order = [int(cell.name.model[1:]) for cell in shown]
    assert order == sorted(order)


def test_a_log_holds_a_line_a_cell(tmp_path: Path) -> None:
    lines = [cell_line(cell) for cell in matrix_of(tmp_path).cells]
    assert lines[0] == "✓ a-rpi4  accepted  int8  12.0 s"
    assert lines[2] == "! c-rpi4  failed  1.00 s"
