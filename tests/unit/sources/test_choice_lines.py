"""Lines of questions: the forms of public collections, and each way to get one wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from deployopt.core.errors import UsageError
from deployopt.sources import choice_lines
from deployopt.sources.choice_lines import AskedQuestion, read_choice_lines

FRUIT = ["apple", "brick", "cloud"]


def read(tmp_path: Path, *lines: Any, name: str = "q.jsonl") -> tuple[AskedQuestion, ...]:
    path = tmp_path / name
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return read_choice_lines(path)


def question(**changes: Any) -> dict[str, Any]:
    made = {"question": "What can be eaten?", "choices": FRUIT, "answer": 0} | changes
    return {name: value for name, value in made.items() if value is not ...}


@pytest.mark.parametrize("answer", [0, "0", "A", "a", "apple", " apple "])
def test_an_answer_is_an_index_a_letter_or_the_choice(tmp_path: Path, answer: Any) -> None:
    (found,) = read(tmp_path, question(answer=answer))
    assert found == AskedQuestion(
        line=1, prompt="Question: What can be eaten?\nAnswer:", choices=tuple(FRUIT), answer=0
    )


@pytest.mark.parametrize(
    ("line", "prompt", "answer"),
    [
        # MMLU, ARC and CommonsenseQA, HellaSwag, and MMLU-Pro as their makers have them
        ({"question": "2+2?", "subject": "x", "choices": ["3", "4"], "answer": 1}, "2+2?", 1),
        (
            {
                "id": "9", "question": "Why?", "answerKey": "3",
                "choices": {"text": FRUIT, "label": ["1", "2", "3"]},
            },
            "Why?",
            2,
        ),
        (
            {
                "question": "Why?", "question_concept": "y", "answerKey": "B",
                "choices": {"label": ["A", "B", "C"], "text": FRUIT},
            },
            "Why?",
            1,
        ),
        (
            {
                "ind": 4, "ctx_a": "He", "ctx_b": "x", "ctx": "He sits. ", "endings": FRUIT,
                "label": "2",
            },
            None,
            2,
        ),
        ({"query": "He sits.", "choices": FRUIT, "gold": 1}, None, 1),
        ({"question": "Why?", "options": FRUIT, "answer": "C", "answer_index": 2}, "Why?", 2),
    ],
)  # fmt: skip
def test_public_forms_are_read(
    tmp_path: Path, line: dict[str, Any], prompt: str | None, answer: int
) -> None:
    (found,) = read(tmp_path, line)
    assert found.prompt == ("He sits." if prompt is None else f"Question: {prompt}\nAnswer:")
    assert found.answer == answer


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"answer": ...}, "no answer"),
        ({"answer": None}, "answer is null"),
        ({"answer": ""}, "answer is empty"),
        ({"answer": True}, "answer is true or false"),
        ({"answer": 1.0}, "answer is a number"),
        ({"answer": [0]}, "answer is a list"),
        ({"answer": 3}, "answer is 3, and the 3 choices are counted from 0 to 2"),
        ({"answer": -1}, "answer is -1"),
        ({"answer": "D"}, "'D' is none of the 3"),
        ({"answer": "3"}, "'3' is none of the 3"),
        ({"choices": ["1", "2", "0"], "answer": "1"}, "can be read in two ways"),
        ({"choices": ["B", "A"], "answer": "A"}, "can be read in two ways"),
        (
            {"choices": {"text": ["a", "b"], "label": ["1", "2"]}, "answer": 1},
            "the answer 1 is one choice's label and another one's index",
        ),
        ({"choices": ...}, "no choices"),
        ({"choices": ["one"]}, "2 to 26 choices are read; here is 1"),
        ({"choices": []}, "here is 0"),
        ({"choices": [str(k) for k in range(27)]}, "here is 27"),
        ({"choices": ["a", "b", " a"]}, "choices 0 and 2 are the same text"),
        ({"choices": ["a", " "]}, "choice 1 is empty"),
        ({"choices": ["a", 4]}, "choice 1 is a number"),
        ({"choices": "abc"}, "choices is a text"),
        ({"choices": {"text": ["a", "b"], "label": ["A"]}}, "2 choices and 1 labels"),
        ({"choices": {"text": ["a", "b"], "label": ["A", "A"]}}, "same label"),
        ({"choices": {"text": ["a", "b"]}}, "choices is an object"),
        ({"choices": {"text": ["a", "a"], "label": ["A", "B"]}}, "choices A and B are the same"),
        ({"options": FRUIT}, "both choices and options"),
        ({"gold": 1}, "both answer and gold"),
        ({"ctx": "x"}, "both question and ctx"),
        ({"question": ...}, "no question"),
        ({"question": 5}, "question is a number"),
        ({"question": "  "}, "question is empty"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, question(), question(**changes))
    assert said in str(caught.value)
    assert "q.jsonl, line 2: " in str(caught.value)


def test_a_label_that_the_line_gives_is_always_meant(tmp_path: Path) -> None:
    choices = {"text": ["B", "A"], "label": ["A", "B"]}
    (found,) = read(tmp_path, question(choices=choices, answer="A"))
    assert found.answer == 0


def test_a_list_of_questions_and_blank_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    path.write_text(json.dumps([question(), question(answer=1)]))
    assert [(one.line, one.answer) for one in read_choice_lines(path)] == [(1, 0), (2, 1)]
    other = tmp_path / "q.ndjson"
    other.write_text(f"\n{json.dumps(question())}\n\n")
    assert [one.line for one in read_choice_lines(other)] == [2]


def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no kind that questions are read from"):
        read(tmp_path, question(), name="q.csv")
    with pytest.raises(UsageError, match="no data file"):
        read_choice_lines(tmp_path / "none.jsonl")
    path = tmp_path / "bad.jsonl"
    path.write_text(f"{json.dumps(question())}\nnot json\n")
    with pytest.raises(UsageError, match="line 2: JSON is malformed"):
        read_choice_lines(path)
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_choice_lines(path)
    monkeypatch.setattr(choice_lines, "LINES_MAX", 2)
    with pytest.raises(UsageError, match="more than 2 questions"):
        read(tmp_path, question(), question(), question())
