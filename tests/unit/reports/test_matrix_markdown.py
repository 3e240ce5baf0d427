"""A row a cell, reasons under it, nothing that is markup but ours."""

from pathlib import Path

import msgspec

from deployopt.reports.matrix_markdown import MOST, matrix_markdown
from tests.fakes.matrices import matrix_of


def test_every_cell_and_why(tmp_path: Path) -> None:
    text = matrix_markdown(matrix_of(tmp_path))
    assert text.startswith("### 3 cells: 1 accepted, 1 rejected, 1 failed")
    assert "| ✅ | a-rpi4 | int8 | 14.2 ms |" in text
    assert "| 💥 | c-rpi4 |" in text
    assert "- c-rpi4: failed: The step failed." in text
    assert "- a-rpi4" not in text


def test_strangers_and_very_many(tmp_path: Path) -> None:
    result = matrix_of(tmp_path)
    evil = msgspec.structs.replace(result.cells[2], error="[x](http://evil) |`|\n# big")
    many = msgspec.structs.replace(result, cells=(evil,) * 500, total=500)
    text = matrix_markdown(many)
    assert "300 more are not shown here." in text
    assert text.count("\n| 💥") == MOST
    assert "[x](http" not in text
    assert "\n# big" not in text
