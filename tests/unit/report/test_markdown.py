"""For a pull request: the verdict first, and no name becomes markup, a link or a mention."""

import re

import pytest

from deployopt.report.markdown import build_markdown, escape, verify_markdown
from tests.fakes import results
from tests.fakes.payloads import payloads


@pytest.mark.parametrize("word", ["accepted", "rejected", "provisional", "undecided"])
def test_the_verdict_comes_first(word: str) -> None:
    text = build_markdown(results.build_result(word))
    assert text.splitlines()[0].startswith("### ")
    assert text.splitlines()[0].endswith(f": {word}")
    assert "| latency p95 | 60 ms |" in text
    assert "<details>" in text


def test_tables_have_one_width() -> None:
    for record in (results.build_result(), results.many(), results.hostile("a|b")):
        rows = [x for x in build_markdown(record).splitlines() if x.startswith("|")]
        counts = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
        assert counts == {7}


def test_nothing_was_built() -> None:
    text = build_markdown(results.cannot_fit())
    assert "not built" in text
    assert "distilbert in int8 would fit" in text


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
    text = build_markdown(results.hostile(payload))
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
