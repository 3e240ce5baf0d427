"""SigLIP's tokenizer out of the file that SentencePiece writes."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from deployopt.core.errors import UsageError
from deployopt.sources.sentence_pieces import read_pieces
from deployopt.sources.tokenizer_files import write_tokenizer
from deployopt.sources.tokenizer_making import made_from, make_tokenizer
from tests.fakes.sentence_pieces import write_pieces

WORDS = ("a", "photo", "of", "cat", "the")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_pieces(tmp_path / "spiece.model", WORDS)
    return tmp_path


# What SiglipTokenizer of transformers 5.23 with sentencepiece 0.2.3 gives of the same file.
@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a photo of the cat", [3, 4, 5, 7, 6, 1]),
        ("A PHOTO,  of\tthe cat!", [3, 4, 5, 7, 6, 1]),
        (" the cat ", [8, 7, 6, 1]),
        ("cats zq", [6, 27, 8, 34, 25, 1]),
        ("the \u6f22\u5b57 cat", [7, 8, 2, 6, 1]),
        ("don't", [8, 12, 23, 22, 28, 1]),
        ("cat\u2581the", [6, 7, 1]),
        ("x", [8, 32, 1]),
    ],
)
def test_texts_have_the_ids_that_transformers_gives(
    folder: Path, text: str, ids: list[int]
) -> None:
    made = Tokenizer.from_str(make_tokenizer(folder, "spiece.model", {}))
    assert made.encode(text).ids == ids


def test_case_is_kept_where_the_options_say_so(folder: Path) -> None:
    made = Tokenizer.from_str(make_tokenizer(folder, "spiece.model", {"do_lower_case": False}))
    assert made.encode("the Cat").tokens[-4:] == ["C", "a", "t", "</s>"]


def test_it_is_made_in_the_confined_process(folder: Path) -> None:
    assert made_from(folder, "siglip") == "spiece.model"
    assert made_from(folder, "bert") is None
    write_tokenizer(folder, "siglip")
    assert Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id("</s>") == 1


@pytest.mark.parametrize("cut", [1, 7, 200])
def test_a_file_that_is_cut_off_is_told(folder: Path, cut: int) -> None:
    path = folder / "spiece.model"
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(UsageError, match="is not a SentencePiece model"):
        read_pieces(path)


@pytest.mark.parametrize(
    "data", [b"", b"\x00\x01", b"\xff" * 40, b"\x0a\x02\x0a\xff", b"\x08\x01", b"not one"]
)
def test_other_bytes_are_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "spiece.model").write_bytes(data)
    with pytest.raises(UsageError, match="is not a SentencePiece model"):
        read_pieces(tmp_path / "spiece.model")


def test_pieces_of_another_kind_are_told(folder: Path) -> None:
    write_pieces(folder / "spiece.model", WORDS, kind=2)
    with pytest.raises(UsageError, match=r"for unigrams only.*save_pretrained"):
        read_pieces(folder / "spiece.model")


def test_an_end_that_is_no_word_is_told(folder: Path) -> None:
    with pytest.raises(UsageError, match="lacks the token <end>"):
        make_tokenizer(folder, "spiece.model", {"eos_token": "<end>"})
