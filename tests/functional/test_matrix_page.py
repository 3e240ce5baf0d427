"""The page of a matrix in a real browser: nothing to complain of, and a filter that filters."""

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from deployopt.core.matrix import CellName
from deployopt.pipeline.matrix.summing import summed_up
from deployopt.reports.matrix_page import matrix_page
from tests.fakes.matrices import matrix_of
from tests.functional.test_report_page import FLAGS

pytest.importorskip("jinja2")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here"),
]


def page_of(folder: Path, count: int) -> str:
    """So many cells, of the three kinds."""
    kinds = matrix_of(folder).cells
    cells = [
        msgspec.structs.replace(
            kinds[n % 3], name=CellName(model=f"m{n // 40}", target=f"t{n % 40}")
        )
        for n in range(count)
    ]
    return matrix_page(summed_up(cells, output=folder, seconds=1.0), cells).decode()


def browse(page: Path, *words: str) -> str:
    """What the browser logs."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={page.parent / 'profile'}", *words]
    done = subprocess.run(
        [*command, page.as_uri()], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stderr


def shot(page: Path, text: str) -> bytes:
    """A picture of the page's end."""
    page.write_text(text)
    picture = page.with_suffix(".png")
    browse(page, "--window-size=700,2600", f"--screenshot={picture}")
    return picture.read_bytes()


def test_two_thousand_cells_are_no_trouble(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(page_of(tmp_path, 4000))
    log = browse(page, "--dump-dom")
    assert "CONSOLE" not in log, log
    assert "Refused to" not in log


def test_a_filter_hides_the_other_cells(tmp_path: Path) -> None:
    text = page_of(tmp_path, 12)
    chosen = text.replace('<option value="failed">', '<option value="failed" selected>')
    assert chosen != text
    # Without the other rows the page is the same as one that never had them.
    rows = [part for part in chosen.split("<tr ") if part.startswith('class="c w-')]
    without = chosen
    for row in rows:
        if not row.startswith('class="c w-failed'):
            without = without.replace(f"<tr {row[: row.index('</tr>')]}</tr>", "")
    assert without.count('class="c w-') == 4
    pictures = [shot(tmp_path / f"{n}.html", one) for n, one in enumerate((chosen, without, text))]
    assert pictures[0] == pictures[1]
    assert pictures[0] != pictures[2]
