"""The forms that people have: detected by their keys, refused with file and line."""

from pathlib import Path
from typing import Any

import pytest

from deployopt.core.dialogues import Dialogue, Form
from deployopt.core.errors import UsageError
from deployopt.sources.dialogue_forms import Place, dialogue_of, form_of

HERE = Place(path=Path("d.jsonl"), line=7)
USER = {"role": "user", "content": "Q"}
BOT = {"role": "assistant", "content": "A"}


def read(item: dict[str, Any], place: Place = HERE) -> Dialogue:
    return dialogue_of(item, form_of(item, place), place)


def said(dialogue: Dialogue) -> list[tuple[str, str]]:
    return [(turn.role, turn.content) for turn in dialogue.turns]


QA = [("user", "Q"), ("assistant", "A")]


@pytest.mark.parametrize(
    ("item", "form", "turns"),
    [
        ({"messages": [USER, BOT], "id": 4}, Form.MESSAGES, QA),
        ({"messages": [{"role": "developer", "content": "S"}, USER, BOT]}, Form.MESSAGES,
         [("system", "S"), *QA]),
        ({"messages": [USER, BOT, USER]}, Form.MESSAGES, QA),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Q"}]}, BOT]},
         Form.MESSAGES, QA),
        ({"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]},
         Form.CONVERSATIONS, QA),
        ({"conversations": [USER, BOT], "system": "S"}, Form.CONVERSATIONS, [("system", "S"), *QA]),
        ({"prompt": "Q", "completion": "A"}, Form.PROMPT, QA),
        ({"prompt": [USER], "completion": [BOT]}, Form.PROMPT, QA),
        ({"prompt": "Q", "response": "A", "text": "x"}, Form.PROMPT, QA),
        ({"instruction": "Q", "input": "", "output": "A"}, Form.INSTRUCTION, QA),
        ({"instruction": "Q", "input": "I", "output": "A"}, Form.INSTRUCTION,
         [("user", "Q\n\nI"), ("assistant", "A")]),
    ],
)  # fmt: skip
def test_each_form_is_read(item: dict[str, Any], form: Form, turns: list[Any]) -> None:
    assert form_of(item, HERE) is form
    assert said(read(item)) == turns


def test_documents_are_read_under_the_key_that_was_named() -> None:
    assert read({"text": "words"}).text == "words"
    named = Place(path=Path("d.jsonl"), line=1, text="body")
    assert read({"body": "words", "messages": []}, named).text == "words"
    with pytest.raises(UsageError, match="line 1: there is no 'body'; the keys are text"):
        read({"text": "words"}, named)


def test_an_answer_with_no_weight_is_not_learnt() -> None:
    found = read({"messages": [USER, BOT | {"weight": 0}, USER, BOT | {"weight": 1}]})
    assert [turn.learnt for turn in found.turns] == [True, False, True, True]
    with pytest.raises(UsageError, match="no answer of the assistant's to learn from"):
        read({"messages": [USER, BOT | {"weight": 0}]})


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"question": "Q"}, "the keys are question; what is read is"),
        ({"prompt": "Q", "chosen": "A", "rejected": "B"}, "preferred and rejected"),
        ({}, r"the keys are \(none\)"),
        ({"messages": []}, "'messages' is no list of turns"),
        ({"messages": "hello"}, "'messages' is no list of turns"),
        ({"messages": [USER, "A"]}, "turn 2 of 'messages' is no object"),
        ({"messages": [USER, {"role": "tool", "content": "A"}]}, "turn 2 is by 'tool'"),
        ({"messages": [USER, {"content": "A"}]}, "turn 2 is by None"),
        ({"messages": [USER, {"role": "assistant", "content": None}]}, "turn 2 are missing"),
        ({"messages": [USER, {"role": "assistant", "content": 3}]}, "of the type int"),
        ({"messages": [USER, {"role": "assistant", "content": "", "tool_calls": [1]}]}, "trained"),
        ({"messages": [USER, {"role": "assistant", "content": " "}]}, "turn 2 has no words"),
        ({"messages": [USER, BOT | {"weight": 0.5}]}, "weight of turn 2 is 0.5"),
        ({"messages": [USER]}, "no answer of the assistant's"),
        (
            {"messages": [USER, {"role": "system", "content": "S"}, BOT]},
            "turn 2 is a system prompt",
        ),
        ({"messages": [USER, BOT], "tools": [{}]}, "'tools' says"),
        ({"prompt": "", "completion": "A"}, "'prompt' has no words"),
        ({"prompt": "Q", "completion": 4}, "'completion' has no words"),
        ({"instruction": "Q", "output": ""}, "'output' has no words"),
        ({"text": None}, "'text' has no words"),
        ({"text": " \n"}, "'text' has no words"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused_with_its_line(
    item: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=rf"d\.jsonl, line 7: .*{said}"):
        read(item)
