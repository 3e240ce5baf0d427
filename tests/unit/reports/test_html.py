"""The page: alone, small, without scripts, every text escaped."""

import re
import sys
from html.parser import HTMLParser

import pytest

from benchmarks.load_parts import large_build
from deployopt.core.errors import MissingExtraError
from deployopt.core.result import BuildResult
from deployopt.reports import html
from deployopt.reports.html import build_page
from deployopt.reports.words import unbroken
from tests.fakes import results, search
from tests.fakes.language import language_build
from tests.fakes.payloads import payloads

pytest.importorskip("jinja2")

PAGES = {
    **{w: results.build_result(w) for w in ("accepted", "rejected", "provisional", "undecided")},
    "cannot fit": results.cannot_fit(),
    "no labels": results.no_labels(),
    "one": results.one_candidate(),
    "many": results.many(),
    "language": language_build(),
    **search.SEARCHES,
}


class Found(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def parsed(page: bytes) -> Found:
    found = Found()
    found.feed(page.decode())
    assert found.open == []
    return found


def page_of(result: BuildResult) -> bytes:
    return build_page(result, results.lineage(), (results.verify_result(),))


@pytest.mark.parametrize("name", PAGES)
def test_it_stands_alone(name: str) -> None:
    page = page_of(PAGES[name])
    assert len(page) < 300_000
    found = parsed(page)
    assert not found.tags & {"script", "img", "link", "iframe", "object", "a", "form", "base"}
    assert not any(a.startswith("on") or a in {"src", "href", "style"} for a in found.attributes)
    assert b"default-src 'none'" in page
    assert b"url(" not in page
    assert b"@import" not in page


def test_it_holds_what_was_found() -> None:
    text = re.sub(r"<[^>]+>", " ", page_of(PAGES["provisional"]).decode())
    for words in (
        "provisional",
        "deployopt verify /home/ada/bundles/demo-sentiment-rpi4",
        "26.7 to 55.5 ms",
        "measured here (proxy)",
        "int8-static",
        "raise --memory",
        "onnxruntime 1.27.0",
        "quantize",
        "Cortex-A72",
        results.DIGEST,
    ):
        assert words in text, words


def test_a_limit_of_the_target_is_not_drawn_over_figures_of_another_machine() -> None:
    def drawings(word: str) -> list[str]:
        page = build_page(PAGES[word]).decode()
        return [s for s in re.findall(r"(?s)<svg.*?</svg>", page) if "of every candidate" in s]

    on_target, here = drawings("provisional")
    assert "budget 60 ms" in on_target
    assert "budget 60 ms" not in here
    assert "budget 1 pt" in here
    (measured,) = drawings("accepted")
    assert "budget 60 ms" in measured


def plain(page: bytes) -> str:
    text = re.sub(r"<[^>]+>", " ", page.decode()).replace("\u00a0", " ")
    return " ".join(text.split())


def test_a_search_shows_every_training_shape_and_layer() -> None:
    text = plain(page_of(PAGES["forty shapes"]))
    assert text.count("promoted") >= 6
    for item in search.trainings():
        assert f"{item.recipe} {item.epochs}" in text
    for shape in search.shapes():
        assert f"{shape.profile.words} int8" in text
    for layer in search.layers():
        assert f"{layer.name} MatMul" in text
    assert "the loss was not a number" in text
    assert "is the fastest whose loss is bounded below 1 pt" in text
    assert "demo-sentiment-rpi4.jsonl" in text


def test_a_search_without_an_outcome_says_what_to_relax() -> None:
    text = plain(page_of(PAGES["nothing in budget"]))
    assert "Nothing is inside every budget. 4 layers" in text
    assert "latency_p95 to 77 ms" in text
    assert "Nothing is inside every budget" not in plain(page_of(PAGES["forty shapes"]))


def test_what_a_search_did_not_do_has_no_heading() -> None:
    text = plain(page_of(PAGES["empty"]))
    assert "quick, 4.00 s" in text
    for words in ("Sensitivity", "timed before any training", "Rung 1", " Log "):
        assert words not in text, words


@pytest.mark.parametrize("payload", payloads()[::100])
def test_a_hostile_search_is_text(payload: str) -> None:
    clean = parsed(page_of(PAGES["nothing in budget"]))
    page = build_page(search.hostile(payload))
    found = parsed(page)
    assert found.tags <= clean.tags
    assert found.attributes <= clean.attributes
    assert b"\x1b" not in page


@pytest.mark.parametrize("payload", payloads()[::25])
def test_hostile_text_is_text(payload: str) -> None:
    page = build_page(results.hostile(payload), None, (results.hostile_verify(payload),))
    clean = parsed(page_of(PAGES["provisional"]))
    found = parsed(page)
    assert found.tags <= clean.tags
    assert found.attributes <= clean.attributes
    assert b"\x1b" not in page


@pytest.mark.slow
def test_every_payload_is_text() -> None:
    clean = parsed(page_of(PAGES["provisional"]))
    for payload in payloads():
        found = parsed(build_page(results.hostile(payload)))
        assert found.tags <= clean.tags, repr(payload)
        assert found.attributes <= clean.attributes, repr(payload)


def test_of_many_candidates_the_foremost_are_shown_and_the_others_folded() -> None:
    result = large_build(300)
    page = page_of(result).decode()
    parsed(page.encode())
    section = page.partition("<h2>Candidates</h2>")[2].partition("<h2>Search</h2>")[0]
    shown, *folded = re.split("<details><summary>", section)
    assert shown.count('class="has') == 24
    assert [part.partition("<")[0] for part in folded] == [
        "Others, part 1 of 3: 100 candidates",
        "Others, part 2 of 3: 100 candidates",
        "Others, part 3 of 3: 76 candidates",
    ]
    for one in result.candidates:
        assert section.count(f"<span>{unbroken(one.recipe)}</span>") == 1
    assert "Shown are 12 of 300 candidates" in page
    assert "<details open" not in page


def test_a_page_has_an_end_and_says_what_is_beyond_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "MOST", 40)
    text = plain(page_of(large_build(50)))
    left = "left out: 10 candidates, 10 trainings, 10 shapes"
    assert f"More was tried than a page can show; {left}" in text
    assert "More was tried" not in plain(page_of(large_build(40)))
    assert "chosen" in text


def test_twice_the_candidates_are_at_most_twice_the_page() -> None:
    sizes = [len(page_of(large_build(count))) for count in (100, 200, 400)]
    assert sizes[1] < 2.1 * sizes[0]
    assert sizes[2] < 2.1 * sizes[1] < 3_000_000


def test_the_small_install_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"deployopt\[build\]"):
        build_page(PAGES["accepted"])


def test_the_same_result_gives_the_same_page() -> None:
    assert page_of(results.many()) == page_of(results.many())
