"""A build at 80 columns: everything is there, nothing is cut, hostile text is text."""

import io
import re
import unicodedata

import pytest
from rich.cells import cell_len
from rich.console import Console

from deployopt.core.errors import IntegrityError
from deployopt.reports.terminal import print_build, print_error, print_plan, print_verify
from tests.fakes import results
from tests.fakes.payloads import payloads

BUILDS = {
    **{w: results.build_result(w) for w in ("accepted", "rejected", "provisional", "undecided")},
    "cannot fit": results.cannot_fit(),
    "no labels": results.no_labels(),
    "one": results.one_candidate(),
    "many": results.many(),
}


def shown(show: object, record: object) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False, markup=False, emoji=False)
    assert callable(show)
    show(record, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", BUILDS)
def test_no_line_is_wider_than_eighty_and_nothing_is_cut(name: str) -> None:
    text = shown(print_build, BUILDS[name])
    wide = [x for x in text.splitlines() if cell_len(x.rstrip()) > 80]
    assert wide == []
    assert "…" not in text


@pytest.mark.parametrize("word", ["accepted", "rejected", "provisional", "undecided"])
def test_the_verdict_and_every_budget_with_its_interval_and_evidence(word: str) -> None:
    text = shown(print_build, BUILDS[word])
    assert f"{word.upper()}  " in text
    rows = [x for x in text.splitlines() if "latency p95    60 ms" in x]
    assert len(rows) == 1
    assert word in rows[0]
    assert " ms " in rows[0]
    assert " to " in rows[0]
    assert f"exit {BUILDS[word].exit_code}" in text


def test_candidates_with_intervals_and_reasons() -> None:
    text = shown(print_build, BUILDS["provisional"])
    assert "0.25 pt" in text
    assert "-0.31 to 0.84 pt" in text
    assert "x float" in text
    assert "65.3 MiB" in text
    assert "accuracy, latency, memory: measured here (proxy) · size: exact" in text
    assert "✗ int8-static         failed" in text
    assert "raise --memory" in one_line(text)
    assert "export from the store → optimize 1.94 s" in one_line(text)
    assert "1 of 12 rounds void" in one_line(text)


def test_the_command_that_settles_and_the_bundle_stand_alone() -> None:
    lines = shown(print_build, BUILDS["provisional"]).splitlines()
    assert "deployopt verify /home/ada/bundles/demo-sentiment-rpi4" in lines
    assert "/home/ada/bundles/demo-sentiment-rpi4" in lines
    assert any("--accept-predicted" in x for x in lines)


def test_a_long_path_is_not_broken() -> None:
    path = "/home/ada/" + "deep/" * 30
    text = shown(print_build, results.build_result(bundle=path, settle=f"deployopt verify {path}"))
    assert f"deployopt verify {path}" in text.splitlines()


def test_what_cannot_fit_says_why_and_names_no_verdict() -> None:
    text = shown(print_build, BUILDS["cannot fit"])
    assert "distilbert in int8 would fit" in one_line(text)
    assert "ACCEPTED" not in text
    assert "Candidates" not in text


def test_without_labels_it_is_disagreement() -> None:
    text = shown(print_build, BUILDS["no labels"])
    assert "disagreement" in text
    assert "accuracy lost" not in text


def test_mixed_evidence_stands_in_each_cell() -> None:
    accepted = results.build_result("accepted").candidates
    other = results.build_result("provisional").candidates[0]
    text = shown(print_build, results.build_result(candidates=(other, *accepted)))
    assert text.count("measured on target") == 2
    assert "measured here (proxy)" in text


def test_a_verification() -> None:
    text = shown(print_verify, results.verify_result())
    assert "Raspberry Pi 4 Model B Rev 1.4" in text
    assert "ACCEPTED" in text
    assert "measured on target" in text
    assert all(cell_len(x.rstrip()) <= 80 for x in text.splitlines())


def test_a_plan() -> None:
    text = shown(print_plan, results.plan_result())
    assert all(cell_len(x.rstrip()) <= 80 for x in text.splitlines())
    assert "Proof" not in text  # too few: the warning says so instead
    rows = [x for x in text.splitlines() if x.startswith("int8-dynamic ")]
    assert "latency p95" in rows[0]
    assert "inside" in rows[0]
    assert "predicted" in text
    times = [float(x) for x in re.findall(r"latency p95 +([0-9.]+) m?s", text)]
    assert times
    assert all(time == float(f"{time:.2g}") for time in times)


def test_an_error_keeps_its_lines_and_its_paths() -> None:
    path = "/a/" + "b/" * 60
    text = shown(print_error, IntegrityError(f"2 files differ:\n  {path}\n::error::x\x1b[2J"))
    assert text.startswith("error: 2 files differ:\n")
    assert path in text
    assert "::" not in text
    assert "\x1b" not in text


def is_harmless(text: str) -> bool:
    lines = text.splitlines()
    return all(
        unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Cn"} for x in lines for c in x
    ) and not any(x.lstrip().startswith("::") or "##[" in x for x in lines)


@pytest.mark.parametrize("payload", payloads()[::25])
def test_hostile_text_is_text(payload: str) -> None:
    assert is_harmless(shown(print_build, results.hostile(payload)))
    assert is_harmless(shown(print_verify, results.hostile_verify(payload)))


@pytest.mark.slow
def test_every_payload_is_text() -> None:
    for payload in payloads():
        assert is_harmless(shown(print_build, results.hostile(payload))), repr(payload)
