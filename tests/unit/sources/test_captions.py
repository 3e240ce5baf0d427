"""Labels as a person writes them, and what is wrong with some of them."""

from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.sources.captions import read_captions


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_line_is_a_label_and_its_own_caption(tmp_path: Path) -> None:
    found = read_captions(write(tmp_path, "labels.txt", "a photo of a cat\r\na dog \n\n"))
    assert found.labels == ("a photo of a cat", "a dog")
    assert [[one.text for one in several] for several in found.captions] == [
        ["a photo of a cat"], ["a dog"],
    ]  # fmt: skip
    assert found.captions[1][0].line == 2


def test_a_table_gives_a_label_several_captions(tmp_path: Path) -> None:
    rows = "text,label\na photo of a cat,cat\na dog,dog\nthe cat,cat\n"
    found = read_captions(write(tmp_path, "labels.csv", rows))
    assert found.labels == ("cat", "dog")
    assert [[one.text for one in several] for several in found.captions] == [
        ["a photo of a cat", "the cat"], ["a dog"],
    ]  # fmt: skip


def test_json_lines_are_read_too(tmp_path: Path) -> None:
    lines = '{"text": "a cat", "label": 0}\n{"text": "a dog", "label": 1}\n'
    assert read_captions(write(tmp_path, "labels.jsonl", lines)).labels == ("0", "1")


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("labels.txt", "a cat\n", "has 1 label; an image is told apart by 2"),
        ("labels.txt", "a cat\n\na dog\n", r"line 2: the label is empty"),
        ("labels.txt", "a cat\na dog\na cat\n", "line 3: 'a cat' stands in line 1 too"),
        ("labels.txt", "", "is empty"),
        ("labels.yaml", "a cat\na dog\n", r"no kind that is read; labels come as \.txt"),
        ("labels.csv", "text,label\na pet,cat\na pet,dog\n", "is one of the label 'cat' too"),
        ("labels.csv", "text,label\n  ,cat\na dog,dog\n", "the caption is empty"),
        ("labels.csv", "text,label\na cat,\na dog,dog\n", "the label is missing"),
        ("labels.txt", "x" * 1001 + "\na dog\n", "very long"),
    ],
)
def test_what_cannot_be_chosen_among_is_told(
    tmp_path: Path, name: str, text: str, why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        read_captions(write(tmp_path, name, text))


def test_there_has_to_be_a_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no data file"):
        read_captions(tmp_path / "labels.txt")
