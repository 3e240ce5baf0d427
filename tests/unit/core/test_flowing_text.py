"""A model's text on a terminal: lines and letters pass, what obeys or hides does not."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.flowing_text import FlowingText, escaped_json, safe_lines

FAMILY = "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}"


@pytest.mark.parametrize(
    "text",
    [
        "Hello.\n\tdef f():\n\t\treturn std::sort(a ## b)\n",
        f"你好 \N{GRINNING FACE}{FAMILY}\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}",
        "می\N{ZERO WIDTH NON-JOINER}خواهم café café tiếng Việt ภาษาไทย हिन्दी",
        "a :: b, c::d, # Title, ### [link]",
    ],
)
def test_what_people_write_passes(text: str) -> None:
    assert safe_lines(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b]0;title\x07", "[31mred]0;title"),
        ("a\rb\x08c\x00d\x7fe\x9b2Jf", "abcde2Jf"),
        ("\u202eevil\u2066\u200e", "evil"),
        ("a\u2028b\u2029c", "a\nb\nc"),
        ("\N{TAG LATIN SMALL LETTER A}\N{SOFT HYPHEN}\N{ZERO WIDTH SPACE}x\ufeff\ue000", "x"),
        ("e" + "\N{COMBINING ACUTE ACCENT}" * 9, "e" + "\N{COMBINING ACUTE ACCENT}" * 4),
        ("::error::x", ": :error::x"),
        ("a\n  ::set-output name=x::y", "a\n  : :set-output name=x::y"),
        ("x ##[command]y ###[z]", "x ## [command]y ### [z]"),
        (":\x1b:debug::", ": :debug::"),
    ],
)
def test_what_a_terminal_or_a_service_obeys_does_not(text: str, shown: str) -> None:
    assert safe_lines(text) == shown


@given(st.lists(st.text(alphabet=":#[ \n\u0301ab\x1b你", max_size=6)))
def test_pieces_are_shown_as_the_whole(pieces: list[str]) -> None:
    flowing = FlowingText()
    assert "".join(flowing.safe(piece) for piece in pieces) == safe_lines("".join(pieces))


@given(st.text())
def test_json_says_the_same_and_hides_nothing(text: str) -> None:
    data = json.dumps([text], ensure_ascii=False)
    data = data.encode("utf-8", "ignore").decode()
    shown = escaped_json(data.encode()).decode()
    assert json.loads(shown) == json.loads(data)
    kinds = {unicodedata.category(c) for c in shown}
    assert not kinds & {"Cc", "Zl", "Zp"}


def test_json_escapes_what_turns_writing_around() -> None:
    given_text = json.dumps(["\u202e\x9b\N{TAG SPACE}你"], ensure_ascii=False).encode()
    assert escaped_json(given_text).decode() == '["\\u202e\\u009b\\udb40\\udc20你"]'
