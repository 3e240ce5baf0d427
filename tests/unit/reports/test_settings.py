"""A language model by length of prompt and by batch, in every rendering."""

import io

import pytest
from rich.console import Console

from deployopt.core.answer_settings import SettingSummary
from deployopt.reports.html import build_page
from deployopt.reports.markdown import build_markdown
from deployopt.reports.settings import (
    HEADS,
    print_settings,
    settings_notes,
    settings_rows,
    settings_title,
)
from tests.fakes.language import language_build, language_settings

SETTINGS = language_settings()


def shown(settings: tuple[SettingSummary, ...]) -> str:
    file = io.StringIO()
    print_settings(Console(file=file, width=80, highlight=False, markup=False), settings)
    return file.getvalue()


def test_a_row_measured_and_a_row_predicted_for_each() -> None:
    rows = list(settings_rows(SETTINGS))
    assert [predicted for predicted, _ in rows] == [False, True] * 4
    assert all(len(row) == len(HEADS) for _, row in rows)
    short, band = rows[0][1], rows[1][1]
    assert short[:2] == ("64", "1")
    assert short[3].startswith("18.9 ms, 21") or short[3].startswith("18.8 ms")
    assert band == ("", "", "48 to 300 ms", "", "35 to 220", "250 to 380 MiB")
    assert rows[6][1][2:] == ("left out", "—", "—", "—")


def test_the_terminal_keeps_to_80_columns() -> None:
    text = shown(SETTINGS)
    assert max(map(len, text.splitlines())) <= 80
    assert "measured on target" in text
    assert shown(()) == ""
    assert "measured here (proxy)" in settings_title(language_settings(proxy=True))


@pytest.mark.parametrize(
    "part",
    [
        "figures without bounds, no verdict",
        "(25% are the same at worst)",
        "Energy a token of the answers: 4.69 mJ (prompts of 64 tokens), 3.12 mJ",
        "8 at a time: it may take 4 GiB",
        "1 of 4 rows would not count in a judgement, e.g.: steal 12 %",
    ],
)
def test_what_has_to_be_known(part: str) -> None:
    assert part in " ".join(settings_notes(SETTINGS))


def test_the_page_and_the_summary_have_it_too() -> None:
    build = language_build()
    page, text = build_page(build).decode(), build_markdown(build)
    for rendered in (page, text):
        assert "By length of prompt and by batch, measured on target" in rendered
        assert "48 to 300 ms" in rendered
    assert "<br><sub>predicted 35 to 220</sub>" in text
