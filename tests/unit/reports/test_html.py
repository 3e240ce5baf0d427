"""The page: alone, small, without scripts, every text escaped."""

import re
import sys
from html.parser import HTMLParser

import pytest

from deployopt.core.errors import MissingExtraError
from deployopt.core.result import BuildResult
from deployopt.reports.html import build_page
from tests.fakes import results, search
from tests.fakes.payloads import payloads

pytest.importorskip("jinja2")

PAGES = {
    **{w: results.build_result(w) for w in ("accepted", "rejected", "provisional", "undecided")},
    "cannot fit": results.cannot_fit(),
    "no labels": results.no_labels(),
    "one": results.one_candidate(),
    "many": results.many(),
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


def test_the_small_install_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"deployopt\[build\]"):
        build_page(PAGES["accepted"])


def test_the_same_result_gives_the_same_page() -> None:
    assert page_of(results.many()) == page_of(results.many())
