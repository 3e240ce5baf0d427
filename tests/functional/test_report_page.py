"""The page in a real browser: it loads, its policy is broken by nothing, nothing is fetched."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks.load_parts import large_build
from deployopt.reports.html import build_page
from tests.fakes import results, search
from tests.fakes.payloads import payloads

pytest.importorskip("jinja2")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
)
HOSTILE = " ".join(p for p in payloads(60) if "<" in p)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
@pytest.mark.parametrize(
    "name", ["build", "many", "search", "hostile", "hostile search", "five hundred"]
)
def test_a_browser_finds_nothing_to_complain_of(name: str, tmp_path: Path) -> None:
    result = {
        "build": results.build_result(),
        "many": results.many(),
        "search": search.build(),
        "hostile search": search.hostile(HOSTILE),
        "hostile": results.hostile(HOSTILE),
        "five hundred": large_build(500),
    }[name]
    page = tmp_path / "page.html"
    page.write_bytes(build_page(result, results.lineage(), (results.verify_result(),)))
    log = _browse(page, tmp_path)
    assert "CONSOLE" not in log, log
    assert "Refused to" not in log


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_the_policy_stops_a_script_that_was_planted(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    planted = b"<script>document.title='x'</script><img src='http://127.0.0.1:9/x.png'></main>"
    page.write_bytes(build_page(results.build_result()).replace(b"</main>", planted))
    log = _browse(page, tmp_path)
    assert "Content Security Policy" in log


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_five_hundred_candidates_open_in_two_seconds(tmp_path: Path) -> None:
    """Beyond what the browser takes for a small page, itself included; the least of three."""
    large, small = tmp_path / "large.html", tmp_path / "small.html"
    large.write_bytes(build_page(large_build(500), results.lineage()))
    small.write_bytes(build_page(results.build_result()))
    assert large.stat().st_size < 2_000_000
    took = {page: min(_seconds(page, tmp_path) for _ in range(3)) for page in (large, small)}
    assert took[large] - took[small] < 2.0


def _seconds(page: Path, folder: Path) -> float:
    start = time.perf_counter()
    _browse(page, folder)
    return time.perf_counter() - start


def _browse(page: Path, folder: Path) -> str:
    """What the browser logged; the picture lies beside the page."""
    assert CHROMIUM is not None
    picture = folder / "page.png"
    run = subprocess.run(
        [
            CHROMIUM,
            *FLAGS,
            f"--user-data-dir={folder / 'profile'}",
            f"--screenshot={picture}",
            "--window-size=1200,2200",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert picture.stat().st_size > 50_000
    return run.stderr
