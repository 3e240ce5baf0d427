"""Texts without labels: read, kept away from those that judge, split."""

from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.sources.training_lots import HELD_OUT, TRAIN, VALIDATION
from deployopt.sources.unlabelled import Unlabelled, read_unlabelled, split_unlabelled, unlike

TEXTS = tuple(f"text number {n} about {n * 7} things that {n % 13} people said" for n in range(200))


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_text_a_line_without_repetitions(tmp_path: Path) -> None:
    found = read_unlabelled(write(tmp_path / "a.txt", b"\xef\xbb\xbfone\n\n  two \none\r\nthree"))
    assert found.texts == ("one", "two", "three")
    assert found.notes == ("a.txt: 1 repeated texts were left out.",)
    assert read_unlabelled(write(tmp_path / "b.txt", b"one\n")).notes == ()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"text\nx\n", "texts without labels come as .txt"),
        ("a.txt", b"\n \n", "holds no texts"),
        ("a.txt", b"ok\n\xff\xfe", "not UTF-8 text: byte 3"),
    ],
)
def test_what_is_refused(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        read_unlabelled(write(tmp_path / name, content))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no file"):
        read_unlabelled(tmp_path / "a.txt")
    (tmp_path / "b.txt").symlink_to(write(tmp_path / "c.bin", b"x"))
    assert read_unlabelled(tmp_path / "b.txt").texts == ("x",)


def test_what_resembles_the_judges_teaches_nothing() -> None:
    judges = ("A very fine film, with a great cast and a clever story to tell",)
    found = Unlabelled(
        texts=("a very fine film with a great cast and a clever story to tell!", "no")
    )
    kept = unlike(found, judges, "file")
    assert kept.texts == ("no",)
    assert kept.notes == ("file: 1 texts resemble ones that judge and were left out.",)
    assert unlike(Unlabelled(texts=("no",)), judges, "file").notes == ()


def test_a_split_of_their_own() -> None:
    splits = split_unlabelled(Unlabelled(texts=TEXTS), "file")
    assert set(splits) == {TRAIN, VALIDATION, HELD_OUT}
    assert sorted(sum(splits.values(), ())) == sorted(TEXTS)
    assert len(splits[TRAIN]) > 120
    with pytest.raises(UsageError, match="at least 30, not all alike"):
        split_unlabelled(Unlabelled(texts=TEXTS[:20]), "file")
