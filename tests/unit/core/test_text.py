"""Hostile text must be harmless before anyone reads it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.text import safe_record, safe_text
from deployopt.core.verdict import Outcome
from tests.fakes.payloads import payloads
from tests.fakes.results import build_result, hostile


def is_harmless(text: str) -> bool:
    return (
        all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"} for c in text)
        and "::" not in text
        and "##[" not in text
    )


def test_there_are_five_hundred_payloads() -> None:
    assert len(set(payloads())) == 500
    assert not all(is_harmless(p) for p in payloads())


@pytest.mark.parametrize("payload", payloads())
def test_no_payload_survives(payload: str) -> None:
    cleaned = safe_text(payload)
    assert is_harmless(cleaned)
    cleaned.encode("utf-8")
    assert safe_text(cleaned) == cleaned


@given(st.text(alphabet=st.characters(), max_size=300))
def test_any_text_becomes_harmless_and_stays_so(text: str) -> None:
    cleaned = safe_text(text, 120)
    assert is_harmless(cleaned)
    assert len(cleaned) <= 120
    assert safe_text(cleaned, 120) == cleaned


def test_ordinary_text_is_left_alone() -> None:
    for text in ("int8-dynamic", "/home/ada/b v2", "größer ≤ 60 ms", "汉字 نص", "a:b #1 [x]"):
        assert safe_text(text) == text


def test_a_line_break_becomes_a_space() -> None:
    assert safe_text("one\r\ntwo\u2028three") == "one two three"


def test_a_cut_is_shown() -> None:
    assert safe_text("x" * 50, 10) == "x" * 9 + "…"


def test_marks_are_not_piled_up() -> None:
    assert safe_text("e" + "\u0301" * 99) == "e" + "\u0301" * 2


def test_a_record_is_cleaned_in_every_string_and_no_enum_is_touched() -> None:
    for payload in payloads()[::7]:
        cleaned = safe_record(hostile(payload))
        assert is_harmless(cleaned.model)
        assert is_harmless(cleaned.candidates[0].steps[0].name)
        assert all(is_harmless(key) for key in cleaned.machine.packages)
        assert cleaned.verdict is not None
        assert cleaned.verdict.checks[0].outcome is Outcome.ACCEPTED


def test_a_clean_record_is_unchanged() -> None:
    assert safe_record(build_result()) == build_result()
