"""Where messages come from and answers go."""

import io
import json
import sys

import pytest

from deployopt.cli.chat_sides import (
    JsonSide,
    PlainSide,
    TerminalSide,
    closing_notes,
    side_for,
)
from deployopt.core.errors import UsageError
from deployopt.core.generation import Answer, Ended

ANSWER = Answer(
    text="Hi\x1b[0m you",
    ended=Ended.END,
    prompt_tokens=9,
    answer_tokens=3,
    first_token_s=0.25,
    tokens_per_s=20.04,
)


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), "utf-8"))


def test_a_line_is_a_message_and_empty_ones_are_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stdin(monkeypatch, "\ufeffHello\n\n  \n\t你好 \r\nlast".encode())
    side = PlainSide()
    assert [side.ask() for _ in range(3)] == ["Hello", "\t你好 ", "last"]
    with pytest.raises(EOFError):
        side.ask()


def test_bytes_that_are_no_text_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"ok\n\ncaf\xe9\n")
    side = PlainSide()
    side.ask()
    with pytest.raises(UsageError, match=r"Line 3 of stdin is not UTF-8 text \(byte 3\)"):
        side.ask()


def test_a_line_without_end_is_not_read_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"x" * (2**22 + 2))
    with pytest.raises(UsageError, match="longer than 4194304 bytes"):
        PlainSide().ask()


def test_only_answers_are_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    side = PlainSide()
    for piece in ("Hi\x1b", "[0m you\n", "::", "error::"):
        side.piece(piece)
    side.end("Hello", ANSWER)
    side.note("A \x1b[2J note")
    side.refused("x", UsageError("Too long."))
    found = capsys.readouterr()
    assert found.out == "Hi[0m you\n: :error::\n"
    assert found.err == "A [2J note\nerror: Too long.\n"


def test_a_turn_is_an_object_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    side = JsonSide()
    side.piece("Hi")
    side.end("Hello", ANSWER)
    side.refused("x", UsageError("Too long."))
    one, two = capsys.readouterr().out.splitlines()
    assert json.loads(one)["answer"]["text"] == "Hi\x1b[0m you"
    assert "\x1b" not in one
    assert (json.loads(two)["turn"], json.loads(two)["error"]) == (2, "Too long.")
    assert json.loads(two)["answer"] is None


def test_a_person_sees_how_fast_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    side = TerminalSide()
    side.piece("Hi\x1b[0m you")
    side.end("Hello", ANSWER)
    found = capsys.readouterr()
    assert found.out == "Hi[0m you\n"
    assert found.err == "3 tokens, the first after 0.25 s, then 20.0 a second\n"


def test_what_cannot_be_seen_in_an_answer_is_said() -> None:
    def notes(ended: Ended, dropped: int = 0) -> list[str]:
        given = {"text": "", "prompt_tokens": 1, "answer_tokens": 5, "ended": ended}
        answer = Answer(**given, dropped_turns=dropped, first_token_s=None, tokens_per_s=None)  # type: ignore[arg-type] # the values are of several kinds
        return list(closing_notes(answer))

    assert notes(Ended.END) == []
    assert notes(Ended.END, 1) == ["The context is full: the oldest turn was left out."]
    assert notes(Ended.CONTEXT, 2) == [
        "The context is full: the oldest 2 turns were left out.",
        "The context is full: the answer ends here.",
    ]
    assert notes(Ended.LENGTH) == ["The answer ends here, after 5 tokens."]
    assert notes(Ended.STOPPED) == ["Stopped."]


def test_pipes_are_plain_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"")
    assert type(side_for(plain=False, json=False)) is PlainSide
    assert type(side_for(plain=True, json=True)) is JsonSide
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="no stdin"):
        side_for(plain=True, json=False)


def test_a_terminal_without_chinese_shows_question_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = io.BytesIO()
    stdin(monkeypatch, b"")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(data, "ascii"))
    side_for(plain=True, json=False).piece("a你b")
    assert data.getvalue() == b"a?b"
