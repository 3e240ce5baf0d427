"""For a pull request: the verdict first, and no name becomes markup, a link or a mention."""

import re

import pytest

from deployopt.reports.html import build_page
from deployopt.reports.markdown import build_markdown, verify_markdown
from deployopt.reports.markdown_text import escape
from tests.fakes import results, search
from tests.fakes.language import language_build
from tests.fakes.payloads import payloads


@pytest.mark.parametrize("word", ["accepted", "rejected", "provisional", "undecided"])
def test_the_verdict_comes_first(word: str) -> None:
    text = build_markdown(results.build_result(word))
    assert text.splitlines()[0].startswith("### ")
    assert text.splitlines()[0].endswith(f": {word}")
    assert "| latency p95 | 60 ms |" in text
    assert "<details>" in text


def test_tables_have_one_width() -> None:
    for record in (results.build_result(), results.many(), search.hostile("a|b")):
        rows = [x for x in build_markdown(record).splitlines() if x.startswith("|")]
        counts = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
        assert counts == {7}


def test_nothing_was_built() -> None:
    text = build_markdown(results.cannot_fit())
    assert "not built" in text
    assert "distilbert in int8 would fit" in text


def test_a_search_is_a_line_and_its_counts_are_folded() -> None:
    text = build_markdown(search.build())
    open_part, _, folded = text.partition("<details>")
    (line,) = [x for x in open_part.splitlines() if x.startswith("Search (")]
    assert "40 shapes timed, 14 trainings judged, 40 layers ranked." in line
    assert "is the fastest whose loss is bounded" in line
    assert "- Trained: 14 trainings on 3 rungs" in folded
    assert "demo-sentiment-rpi4.jsonl" in folded
    assert "Search" not in build_markdown(results.build_result())


def test_a_search_that_missed_says_what_to_relax() -> None:
    text = build_markdown(search.nothing_in_budget())
    assert "Nothing is inside every budget. 4 layers" in text
    assert text.count("- To relax: ") == 2


def test_a_search_that_found_nothing() -> None:
    text = build_markdown(search.SEARCHES["empty"])
    assert "Search (quick, 4.00 s).\n" in text.replace("\\", "")
    assert "- Log" not in text


def test_a_verification() -> None:
    text = verify_markdown(results.verify_result())
    assert "accepted" in text.splitlines()[0]
    assert "Measured on the target" in text


def test_escaping() -> None:
    assert escape("<b>*x*</b>") == r"&lt;b&gt;\*x\*&lt;/b&gt;"
    assert "@ada" not in escape("@ada")
    assert "#12" not in escape("#12")
    assert "://" not in escape("http://evil.example")
    assert "www." not in escape("WWW.evil.example").lower()


@pytest.mark.parametrize("payload", payloads()[::25])
def test_hostile_text_is_text(payload: str) -> None:
    assert_harmless(build_markdown(results.hostile(payload)))


@pytest.mark.parametrize("payload", payloads()[::100])
def test_a_hostile_search_is_text(payload: str) -> None:
    assert_harmless(build_markdown(search.hostile(payload)))


def assert_harmless(text: str) -> None:
    outside_code = re.sub(r"(?s)```.*?```", "", text)
    tags = set(re.findall(r"<[^>]*>", outside_code))
    assert tags <= {
        "<br>",
        "<sub>",
        "</sub>",
        "<details>",
        "</details>",
        "<summary>",
        "</summary>",
    } | {"<!-- -->"}
    assert not re.search(r"(?<!\\)\]\(", outside_code)
    assert "\x1b" not in text
    assert not any(x.lstrip().startswith("::") for x in text.splitlines())


def test_a_language_model_shows_tokens_likelihood_and_agreement() -> None:
    text = build_markdown(language_build())
    head = next(line for line in text.splitlines() if line.startswith("| candidate"))
    assert head.count("|") == 9
    for part in ("NLL increase", "agreement", "first token p95", "tokens a second"):
        assert part in head
    row = next(line for line in text.splitlines() if line.startswith("| **int8** (chosen)"))
    assert row.count("|") == 9
    assert "0.61 % (0.52 to 0.81 %)" in row
    assert "| 2.13 x |" in row
    failed = next(line for line in text.splitlines() if line.startswith("| int4 (failed)"))
    assert failed.count("|") == 9


def test_hostile_text_in_a_language_models_build_is_text() -> None:
    text = build_markdown(results.with_text(language_build(), "<script>x</script> | `@all`"))
    assert "<script>" not in text
    assert b"<script>" not in build_page(results.with_text(language_build(), "<script>x</script>"))
