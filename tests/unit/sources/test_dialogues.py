"""A file of dialogues: one form, repetitions once, everything else refused with its line."""

import json
from pathlib import Path

import pytest

from deployopt.core.dialogues import Form
from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.sources.dialogues import read_dialogues
from tests.fakes.dialogues import messages, write_lines


def test_lines_are_read_in_order_and_repetitions_once(tmp_path: Path) -> None:
    rows = [messages("a", "b"), messages("c", "d"), messages("a", "b")]
    found = read_dialogues(write_lines(tmp_path / "d.jsonl", rows))
    assert found.form is Form.MESSAGES
    assert [one.line for one in found.dialogues] == [1, 2]
    assert found.repeated == 1


def test_a_json_list_is_read_as_lines_are(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_text(json.dumps([{"text": "one"}, {"text": "two"}]), "utf-8")
    found = read_dialogues(path)
    assert [(one.text, one.line) for one in found.dialogues] == [("one", 1), ("two", 2)]


def test_documents_of_a_text_file_end_at_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "d.txt"
    path.write_text("\ufeffone\nmore\n\n\n \ntwo\n\nthree", "utf-8")
    found = read_dialogues(path)
    assert found.form is Form.TEXT
    assert [(one.text, one.line) for one in found.dialogues] == [
        ("one\nmore", 1), ("two", 6), ("three", 8),
    ]  # fmt: skip


def test_a_key_for_documents_can_be_named(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "d.jsonl", [{"body": "one"}])
    assert read_dialogues(path, {"text": "body"}).dialogues[0].text == "one"
    with pytest.raises(UsageError, match="--column label=… is not of"):
        read_dialogues(path, {"label": "body"})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("d.jsonl", '{"text": "a"}\n{"messages": []}', "line 2: it is of the form 'messages'"),
        ("d.jsonl", '{"text": "a"}\nnonsense', "line 2: .*One JSON object a line"),
        ("d.jsonl", '{"text": "a"}\n[1]', "line 2: "),
        ("d.jsonl", '{"text": "\\ud800"}', "line 1: "),
        ("d.jsonl", '{"text": "\\udc00 b"}', "line 1: "),
        ("d.jsonl", "[" * 5_000, "line 1: "),
        ("d.jsonl", "\n\n", "holds no dialogues"),
        ("d.jsonl", "", "is empty"),
        ("d.txt", " \n\n", "holds no text"),
        ("d.csv", "a,b", "of no kind"),
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=said):
        read_dialogues(path)


def test_bytes_that_are_no_text_and_links_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(b'{"text": "\xff"}')
    with pytest.raises(UsageError, match="not UTF-8"):
        read_dialogues(path)
    (tmp_path / "pipe.jsonl").symlink_to("/dev/null")
    with pytest.raises((UsageError, RefusedInputError)):
        read_dialogues(tmp_path / "pipe.jsonl")
