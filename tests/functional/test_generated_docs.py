"""The generated pages are as the code says."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "generate_docs.py"


def test_the_pages_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, str(TOOL), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_stale_page_is_found(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "tools").mkdir()
    copy = shutil.copy(TOOL, tmp_path / "tools")
    page = tmp_path / "docs" / "metrics.md"
    page.write_text(page.read_text("utf-8") + "by hand\n", "utf-8")
    done = subprocess.run(
        [sys.executable, copy, "--check"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 1
    assert done.stderr == "docs/metrics.md is stale: run python tools/generate_docs.py\n"
