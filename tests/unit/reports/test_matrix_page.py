"""The page stands alone, leads to each bundle, and stays small."""

from pathlib import Path

import msgspec

from deployopt.core.matrix import CellName, CellResult, Word
from deployopt.reports.matrix_page import matrix_page
from tests.fakes.matrices import matrix_of


def test_a_page_has_every_verdict_and_its_link(tmp_path: Path) -> None:
    page = matrix_page(matrix_of(tmp_path)).decode()
    assert 'href="a-rpi4/report.html"' in page
    assert 'href="b-rpi4.rejected.html"' in page
    assert page.count('class="failed"') == 1
    assert "14.2 ms" in page
    assert "The step failed." in page
    for fetched in ("<script", "http://", "https://", "src=", "@import"):
        assert fetched not in page
    assert "default-src 'none'" in page


def test_who_built_and_who_measured_is_said(tmp_path: Path) -> None:
    result = matrix_of(tmp_path)
    first = msgspec.structs.replace(result.cells[0], node="node-2", device="board-<7>")
    page = matrix_page(msgspec.structs.replace(result, cells=(first, *result.cells[1:]))).decode()
    assert "built on node-2" in page
    assert "measured by board-&lt;7&gt;" in page


def test_what_strangers_wrote_is_text(tmp_path: Path) -> None:
    result = matrix_of(tmp_path)
    evil = '"><script>alert(1)</script>\u202e'
    cells = tuple(msgspec.structs.replace(cell, error=evil, recipe=evil) for cell in result.cells)
    page = matrix_page(msgspec.structs.replace(result, cells=cells, file=evil)).decode()
    assert "<script" not in page
    assert "\u202e" not in page


def test_a_page_of_very_many_cells_stays_usable(tmp_path: Path) -> None:
    result = matrix_of(tmp_path)
    cells = tuple(
        CellResult(
            name=CellName(model=f"m{at // 100}", target=f"t{at % 100}"),
            key="",
            word=Word.REJECTED,
            exit_code=1,
        )
        for at in range(20_000)
    )
    page = matrix_page(result, cells).decode()
    assert len(page) < 3 * 2**20
    assert "18000 more; matrix.jsonl has every cell." in page
    assert "All cells by target" in page
    assert '<td class="num" data-is="rejected"><span>200</span></td>' in page
    assert "40 more models and targets have rows below" in page
    assert "134 more models and 40 more targets" in page
