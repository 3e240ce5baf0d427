"""What SECURITY.md says is defended names tests and commands that are there."""

import re

import pytest

from tools.lock import ROOT

TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)`", TEXT)))


@pytest.mark.parametrize("path", TESTS)
def test_a_named_test_is_there(path: str) -> None:
    assert "def test_" in (ROOT / path).read_text("utf-8")


def test_every_defended_row_names_a_test() -> None:
    table = TEXT.partition("## What is defended")[2].partition("## What is not defended")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    assert not [row for row in rows if "`tests/" not in row]


def test_it_says_how_to_report_and_what_is_not_defended() -> None:
    assert "## Reporting" in TEXT
    undefended = TEXT.partition("## What is not defended")[2].partition("\n## ")[0]
    assert undefended.count("\n- ") >= 5


@pytest.mark.parametrize("module", re.findall(r"python -m (tools\.\w+)", TEXT))
def test_a_named_command_is_there(module: str) -> None:
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
