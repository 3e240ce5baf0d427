"""Dialogues or documents of one file, for a language model to learn from.

In: a path to JSON Lines, a JSON list, or a text file whose documents end at blank lines. Out: what
it holds, in one form, repetitions left out and counted. Refuses, with file and line: what is no
such object, and a file of several forms.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.dialogues import Dialogue, Form
from deployopt.core.errors import UsageError
from deployopt.sources.dialogue_forms import FORMS, Place, dialogue_of, form_of
from deployopt.sources.tables import ROWS_MAX, check_regular_text, decoded_text, json_items

TEXT: Final = ".txt"
SUFFIXES: Final = (".jsonl", ".ndjson", ".json", TEXT)
_BLANK: Final = re.compile(r"\n[ \t\r]*\n\s*")


class Dialogues(msgspec.Struct, frozen=True, kw_only=True):
    """What one file holds; `repeated` lines were left out."""

    where: str
    form: Form
    dialogues: tuple[Dialogue, ...]
    repeated: int


def read_dialogues(path: Path, columns: Mapping[str, str] | None = None) -> Dialogues:
    """Read the file; `columns` may say {"text": …} for a key that holds documents.

    Raises:
        UsageError: it cannot be learnt from; says where and why.
    """
    chosen = dict(columns or {})
    wrong = sorted(set(chosen) - {"text"})
    if wrong:
        raise UsageError(
            f"--column {wrong[0]}=… is not of a language model's data; only text=KEY can be."
        )
    if path.suffix not in SUFFIXES:
        raise UsageError(
            f"{path} is of no kind that a language model is tuned with ({', '.join(SUFFIXES)}). "
            f"Give lines of {FORMS}, or a {TEXT} file whose documents end at blank lines."
        )
    check_regular_text(path)
    form, found = (_documents if path.suffix == TEXT else _objects)(path, chosen.get("text"))
    different = {one.identity: one for one in reversed(found)}
    kept = sorted(different.values(), key=lambda one: one.line)
    return Dialogues(
        where=path.name, form=form, dialogues=tuple(kept), repeated=len(found) - len(kept)
    )


def _documents(path: Path, _: str | None) -> tuple[Form, list[Dialogue]]:
    text = decoded_text(path)
    found, line, start = [], 1, 0
    for end in [*(match.end() for match in _BLANK.finditer(text)), len(text)]:
        document = text[start:end].strip()
        if document:
            found.append(Dialogue(text=document, line=line))
        line += text.count("\n", start, end)
        start = end
    if not found:
        raise UsageError(f"{path} holds no text.")
    return Form.TEXT, found


def _objects(path: Path, text_key: str | None) -> tuple[Form, list[Dialogue]]:
    form: Form | None = None
    first = 0
    found: list[Dialogue] = []
    for line, item in json_items(path):
        place = Place(path=path, line=line, text=text_key)
        if len(found) == ROWS_MAX:
            raise place.wrong(f"more than {ROWS_MAX} are not read. Take a random sample.")
        has = form_of(item, place)
        if form is None:
            form, first = has, line
        if has is not form:
            raise place.wrong(
                f"it is of the form {has.value!r}, and line {first} is of {form.value!r}. Give "
                "each form in a file of its own."
            )
        found.append(dialogue_of(item, form, place))
    if form is None:
        raise UsageError(f"{path} holds no dialogues. Give a line each of {FORMS}.")
    return form, found
