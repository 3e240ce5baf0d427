"""Turns, and what becomes of them."""

import json
from pathlib import Path

import pytest

import deployopt
from deployopt.core.errors import StorageError, UsageError
from deployopt.core.generation import Ended, Message, Sampling
from deployopt.device.chatting.conversation import MESSAGE_MAX, readable
from tests.fakes.language_bundles import make_language_bundle
from tests.fakes.talkers import NO_SYSTEM, TEMPLATE, make_talker
from tests.unit.device.chatting.conftest import GREETING


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_turns_are_remembered_forgotten_and_written_down(
    talking_bundle: Path, tmp_path: Path
) -> None:
    with deployopt.Bundle.open(talking_bundle).chat(system="Be kind.") as chat:
        first = chat.say("Hello")
        assert first.text.startswith(f"First {GREETING} ")
        second = "".join(chat.stream("And?"))
        assert second.startswith("Second ")
        assert chat.last is not None
        assert chat.last.kept_tokens == first.prompt_tokens + first.answer_tokens
        assert [m.role for m in chat.turns] == ["user", "assistant"] * 2
        chat.reset()
        assert chat.turns == ()
        assert chat.say("Hello").text == first.text
        path = tmp_path / "new" / "said.jsonl"
        chat.save(path)
    found = lines(path)
    assert [one["conversation"] for one in found] == [0] * 5 + [1] * 3
    assert [one["role"] for one in found][:3] == ["system", "user", "assistant"]
    assert found[2]["content"] == first.text
    assert found[2]["ended"] == "end"


def test_what_was_said_of_an_answer_that_was_left_stays(talking_bundle: Path) -> None:
    with deployopt.Bundle.open(talking_bundle).chat() as chat:
        for _ in chat.stream("Hello", stopped=lambda: True):
            pass
        last = chat.last
        assert last is not None
        assert last.ended in {Ended.STOPPED, Ended.END}
        kept = [Message(role="user", content="Hello")] * bool(last.text)
        assert list(chat.turns[:1]) == kept


def test_the_context_loses_its_oldest_turns(talking_bundle: Path) -> None:
    with deployopt.Bundle.open(talking_bundle).chat(context=256) as chat:
        dropped = 0
        for at in range(6):
            answer = chat.say(f"{at} " + "x" * 60)
            assert answer.prompt_tokens <= 256 - 32
            dropped += answer.dropped_turns
            assert len(chat.turns) == 2 * (at + 1 - dropped)
        assert dropped
        with pytest.raises(UsageError, match=r"takes .* tokens, and there is room for 224"):
            chat.say("x" * 300)
        before = chat.turns
        assert chat.say("y").text
        assert chat.turns[: len(before)] == before


@pytest.mark.parametrize("text", ["", "  \n\t", "\x00\x1b\x07"])
def test_an_empty_message_is_refused(talking_bundle: Path, text: str) -> None:
    with (
        deployopt.Bundle.open(talking_bundle).chat() as chat,
        pytest.raises(UsageError, match="empty"),
    ):
        chat.say(text)


def test_a_nul_does_not_cut_what_is_said(talking_bundle: Path) -> None:
    with deployopt.Bundle.open(talking_bundle).chat() as chat:
        whole = chat.say("ab\x00cd")
        chat.reset()
        assert chat.say("abcd").text == whole.text
        assert chat.turns[0].content == "abcd"


def test_what_no_template_carries_is_left_out() -> None:
    assert readable("a\r\nb\rc\td\x1b[0m\x7f\x9be") == "a\nb\nc\td[0me"
    assert readable("\ud83d half") == "? half"
    with pytest.raises(UsageError, match="too long"):
        readable("x" * (MESSAGE_MAX + 1))


def test_a_model_without_a_template_goes_on_with_each_text(tmp_path: Path) -> None:
    model = make_talker(tmp_path / "m", ("0123456789 goes on",), template=None)
    bundle = make_language_bundle(model, tmp_path / "b", chat=False)
    with deployopt.Bundle.open(bundle).chat() as chat:
        assert not chat.has_turns
        assert chat.say("x" * 10).text == "0123456789 goes on"
        assert chat.turns == ()
    with pytest.raises(UsageError, match="no chat template, so there is no place for a system"):
        deployopt.Bundle.open(bundle).chat(system="Be kind.")


def test_a_template_without_a_place_for_a_system_prompt(tmp_path: Path) -> None:
    model = make_talker(tmp_path / "m", template=NO_SYSTEM + TEMPLATE)
    bundle = make_language_bundle(model, tmp_path / "b")
    with pytest.raises(UsageError, match="no place for a system prompt"):
        deployopt.Bundle.open(bundle).chat(system="Be kind.")
    with deployopt.Bundle.open(bundle).chat() as chat:
        assert chat.say("Hi").text == "Hello."


def test_nothing_is_saved_where_it_would_break_something(
    talking_bundle: Path, tmp_path: Path
) -> None:
    with deployopt.Bundle.open(talking_bundle).chat(sampling=Sampling(max_tokens=2)) as chat:
        chat.say("Hello")
        with pytest.raises(UsageError, match="lies in the bundle"):
            chat.save(talking_bundle / "said.jsonl")
        with pytest.raises(UsageError, match="not a file"):
            chat.save(tmp_path)
        (tmp_path / "file").touch()
        with pytest.raises(StorageError):
            chat.save(tmp_path / "file" / "said.jsonl")
