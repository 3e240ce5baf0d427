"""CLIP's tokenizer out of its older files."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from deployopt.core.errors import UsageError
from deployopt.sources.tokenizer_files import write_tokenizer
from deployopt.sources.tokenizer_making import made_from, make_tokenizer
from tests.fakes.clip_words import END, START, write_clip_words

OPTIONS = {"bos_token": {"content": START}, "eos_token": END, "pad_token": "!"}


def made(folder: Path) -> Tokenizer:
    write_clip_words(folder)
    return Tokenizer.from_str(make_tokenizer(folder, "merges.txt", OPTIONS))


def test_words_end_in_a_mark_and_stand_between_two(tmp_path: Path) -> None:
    found = made(tmp_path / "words")
    assert found.encode("A  RED\tcat").tokens == [START, "a</w>", "red</w>", "cat</w>", END]
    assert found.encode("cats, 12").tokens == [
        START, "c", "a", "t", "s</w>", ",</w>", "1</w>", "2</w>", END
    ]  # fmt: skip
    assert found.encode("").tokens == [START, END]


def test_it_is_made_of_these_files_alone(tmp_path: Path) -> None:
    folder = tmp_path / "words"
    write_clip_words(folder)
    assert made_from(folder, "clip") == "merges.txt"
    assert made_from(folder, "clip_text_model") == "merges.txt"
    write_tokenizer(folder, "clip")
    assert Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id(END) == 517


def test_files_that_make_none(tmp_path: Path) -> None:
    folder = tmp_path / "words"
    write_clip_words(folder)
    with pytest.raises(UsageError, match="lacks the tokens <mark>"):
        make_tokenizer(folder, "merges.txt", {"bos_token": "<mark>"})
    (folder / "vocab.json").write_text('{"a": "b"}')
    with pytest.raises(UsageError, match="is not a vocabulary"):
        make_tokenizer(folder, "merges.txt", OPTIONS)
    (folder / "vocab.json").unlink()
    with pytest.raises(UsageError, match=r"vocab.json is missing"):
        make_tokenizer(folder, "merges.txt", OPTIONS)


@pytest.mark.torch
def test_it_is_transformers_own(tmp_path: Path) -> None:
    from transformers import CLIPTokenizer

    found = made(tmp_path / "words")
    theirs = CLIPTokenizer.from_pretrained(str(tmp_path / "words"))
    for text in ("a red cat", "It's 3 o'clock!?", "naïve café", f"a {END} b", "", "汉字 x"):
        assert found.encode(text).ids == theirs(text)["input_ids"], text
