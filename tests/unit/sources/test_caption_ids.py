"""Captions as ids: whole, or refused where they stand."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from deployopt.core.errors import UsageError
from deployopt.core.interface import TextInputs
from deployopt.sources.caption_ids import CaptionIds
from tests.fakes.clip_folder import CONTEXT, write_clip_folder

INPUTS = TextInputs(max_length=CONTEXT, pad_id=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_clip_folder(tmp_path / "clip")


def test_ids_are_neither_cut_nor_padded(folder: Path) -> None:
    path = str(folder / "tokenizer.json")
    words = Tokenizer.from_file(path)
    words.enable_truncation(4)
    words.enable_padding(length=6)
    words.save(path)
    reader = CaptionIds(folder, INPUTS)
    assert reader.of("a cat", "it") == (0, 2, 5, 1)
    assert reader.of("a photo of a cat", "it") == (0, 2, 3, 4, 2, 5, 1)


def test_a_long_one_is_told_with_its_place(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"it, line 7: the caption.*9 tokens.*reads 8 at most"):
        CaptionIds(folder, INPUTS).of("a photo of the cat a dog", "it, line 7")


def test_a_tokenizer_that_fails_is_told(folder: Path) -> None:
    path = folder / "tokenizer.json"
    # A word that it does not know, and no token to stand for such.
    tree = json.loads(path.read_text())
    tree["model"]["unk_token"] = "[UNK]"  # noqa: S105 -- a word
    path.write_text(json.dumps(tree))
    with pytest.raises(UsageError, match="it, line 1: no tokens"):
        CaptionIds(folder, INPUTS).of("a zebra", "it, line 1")
