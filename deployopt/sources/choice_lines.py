"""Questions with choices in a file of JSON lines, in the forms that public collections have.

In: a path. Out: what is put before a model, what it may go on with, and which of that is right.
Read are `question` (asked as "Question: … Answer:") or `ctx` or `query` (gone on with as it is);
`choices`, `endings` or `options` (a list of texts, or `{"text": […], "label": […]}`); and `answer`,
`answerKey`, `label` or `gold` (an index from 0, a letter, a label, or the choice itself). Other
fields are left alone. Refuses, with the line: what is missing, is there twice, or can be read in
two ways; fewer than two choices, empty or equal ones; an answer that is none of them.
"""

import string
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.choices import CHOICES_MIN
from deployopt.core.errors import UsageError
from deployopt.core.text import safe_text
from deployopt.sources.tables import check_regular_text, json_objects

SUFFIXES: Final = (".jsonl", ".ndjson", ".json")
LINES_MAX: Final = 200_000
CHOICES_MAX: Final = len(string.ascii_uppercase)
_QUESTIONS: Final = ("question", "ctx", "query")
_CHOICES: Final = ("choices", "endings", "options")
_ANSWERS: Final = ("answer", "answerKey", "label", "gold")
_FORM: Final = '{"question": "…", "choices": ["…", "…"], "answer": 0}'
_SHOWN: Final = 60


class AskedQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """One line: `prompt` is what the model reads, to which a space and a choice are added."""

    line: int
    prompt: str
    choices: tuple[str, ...]
    answer: int


def read_choice_lines(path: Path) -> tuple[AskedQuestion, ...]:
    """Every question of the file, in its order.

    Raises:
        UsageError: the file is not such a file; says where.
    """
    if path.suffix not in SUFFIXES:
        raise UsageError(
            f"{path} is of no kind that questions are read from ({', '.join(SUFFIXES)}). Give one "
            f"JSON object a line: {_FORM}."
        )
    check_regular_text(path)
    found: list[AskedQuestion] = []
    for line, fields in json_objects(path):
        if len(found) == LINES_MAX:
            raise UsageError(
                f"{path} has more than {LINES_MAX:,} questions. Give a random sample of them."
            )
        try:
            found.append(_question(fields, line))
        except UsageError as error:
            raise UsageError(f"{path}, line {line}: {error}") from error
    return tuple(found)


def _question(fields: Mapping[str, object], line: int) -> AskedQuestion:
    name = _only(fields, _QUESTIONS, "question")
    text = _text(fields[name], f"the {name}")
    choices, labels = _choices(fields[_only(fields, _CHOICES, "choices")])
    if not CHOICES_MIN <= len(choices) <= CHOICES_MAX:
        raise UsageError(
            f"{CHOICES_MIN} to {CHOICES_MAX} choices are read; here is {len(choices)}."
        )
    different: dict[str, int] = {}
    for at, choice in enumerate(choices):
        if choice in different:
            first = _named(different[choice], labels)
            raise UsageError(f"choices {first} and {_named(at, labels)} are the same text.")
        different[choice] = at
    answer = fields[_only(fields, _ANSWERS, "answer")]
    return AskedQuestion(
        line=line,
        prompt=f"Question: {text}\nAnswer:" if name == "question" else text,
        choices=choices,
        answer=_answer(answer, choices, labels),
    )


def _only(fields: Mapping[str, object], names: Sequence[str], role: str) -> str:
    """The one of the names that is there."""
    there = [name for name in names if name in fields]
    if not there:
        known = safe_text(", ".join(fields) or "nothing", _SHOWN)
        raise UsageError(
            f"there is no {role} ({', '.join(names)}); there is {known}. One line is {_FORM}."
        )
    if len(there) > 1:
        raise UsageError(f"both {there[0]} and {there[1]} are there; leave one out.")
    return there[0]


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{what} is {_kind(value)}, and a text is read.")
    if not value.strip():
        raise UsageError(f"{what} is empty.")
    return value.strip()


def _choices(value: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The texts, and their labels where they have some."""
    labels: tuple[str, ...] = ()
    if isinstance(value, dict) and set(value) == {"text", "label"}:
        labels = tuple(_text(one, "a choice's label") for one in _listed(value["label"], "label"))
        value = value["text"]
        if len(set(labels)) != len(labels):
            raise UsageError("two choices have the same label.")
    texts = tuple(
        _text(one, f"choice {_named(at, labels)}")
        for at, one in enumerate(_listed(value, "choices"))
    )
    if labels and len(labels) != len(texts):
        raise UsageError(f"there are {len(texts)} choices and {len(labels)} labels.")
    return texts, labels


def _listed(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise UsageError(f"{what} is {_kind(value)}, and a list of texts is read.")
    return value


def _named(at: int, labels: Sequence[str]) -> str:
    return labels[at] if at < len(labels) else str(at)


def _answer(value: object, choices: Sequence[str], labels: Sequence[str]) -> int:
    """The index of the right choice."""
    if isinstance(value, int) and not isinstance(value, bool):
        if str(value) in labels and labels.index(str(value)) != value:
            raise UsageError(
                f"the answer {value} is one choice's label and another one's index. Give the label "
                "as a text."
            )
        if not 0 <= value < len(choices):
            raise UsageError(
                f"the answer is {value}, and the {len(choices)} choices are counted from 0 to "
                f"{len(choices) - 1}."
            )
        return value
    if not isinstance(value, str):
        raise UsageError(f"the answer is {_kind(value)}; an index, a letter or a choice is read.")
    if not value.strip():
        raise UsageError("the answer is empty; questions without one cannot be judged. Leave them.")
    meant = set(_meanings(value.strip(), choices, labels))
    shown = safe_text(repr(value), _SHOWN)
    if not meant:
        raise UsageError(f"the answer {shown} is none of the {len(choices)} choices.")
    if len(meant) > 1:
        raise UsageError(
            f"the answer {shown} can be read in two ways. Give the choice's index, from 0, as a "
            "number."
        )
    return meant.pop()


def _meanings(value: str, choices: Sequence[str], labels: Sequence[str]) -> Iterator[int]:
    """Every choice that it may stand for; a label that the line gives is always meant."""
    if value in labels:
        yield labels.index(value)
        return
    if value in choices:
        yield choices.index(value)
    letters = string.ascii_uppercase[: len(choices)]
    if len(value) == 1 and value.upper() in letters:
        yield letters.index(value.upper())
    if value.isascii() and value.isdigit() and int(value) < len(choices):
        yield int(value)


def _kind(value: object) -> str:
    """As JSON calls it."""
    if value is None:
        return "null"
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "a text"}
    return kinds.get(type(value), "a list" if isinstance(value, list) else "an object")
