"""One tokenizer.json from what older models bring, the same tokens as transformers makes."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.sources.tokenizer_files import read_tokenizer, write_tokenizer
from tests.fakes.model_folder import SPECIAL, WORDS, text_config, write_json, write_text_model

TEXTS = (
    "A good film.",
    "it is dulls  bad",
    "Naïve café — 日本 warm\tfine\u200bfilm",
    "",
    "[MASK] [SEP] unknownword",
)


def write_roberta(folder: Path) -> Path:
    folder.mkdir()
    alphabet = [chr(code) for code in range(33, 127)] + ["Ġ", "Ã", "©", "¯", "â", "Ģ", "Ķ"]
    merges = ["g o", "o d", "go od", "Ġ f", "i l", "il m", "Ġf ilm"]
    pieces = [merge.replace(" ", "") for merge in merges]
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", *alphabet, *dict.fromkeys(pieces), "<mask>"]
    write_json(folder / "vocab.json", {word: at for at, word in enumerate(vocabulary)})
    lines = ["#version: 0.2", *merges]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    config = {"model_type": "roberta", "architectures": ["RobertaForSequenceClassification"]}
    write_json(folder / "config.json", config)
    return folder


def tokens(folder: Path, text: str) -> list[int]:
    ids: list[int] = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids
    return ids


def test_words_become_the_vocabularys_numbers(tmp_path: Path) -> None:
    folder = write_text_model(tmp_path / "model", tokenizer=True)
    vocabulary = [*SPECIAL, *WORDS]
    expected = ["[CLS]", "a", "good", "film", ".", "[SEP]"]
    assert tokens(folder, "A GOOD film.") == [vocabulary.index(word) for word in expected]


def test_case_is_kept_where_the_tokenizer_keeps_it(tmp_path: Path) -> None:
    folder = write_text_model(tmp_path / "model")
    write_json(folder / "tokenizer_config.json", {"do_lower_case": False})
    write_tokenizer(folder, "distilbert")
    assert tokens(folder, "Good")[1] == SPECIAL.index("[UNK]")


def test_a_tokenizer_that_is_there_stays(tmp_path: Path) -> None:
    folder = write_text_model(tmp_path / "model")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    write_tokenizer(folder, "distilbert")
    assert (folder / "tokenizer.json").read_text(encoding="utf-8") == "{}"


def test_bytes_become_pieces(tmp_path: Path) -> None:
    folder = write_roberta(tmp_path / "model")
    write_tokenizer(folder, "roberta")
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    expected = [vocabulary[piece] for piece in ("<s>", "good", "Ġfilm", "</s>")]
    assert tokens(folder, "good film") == expected


def test_the_padding_is_found_or_is_zero(tmp_path: Path) -> None:
    folder = write_text_model(tmp_path / "model", tokenizer=True)
    config = text_config()
    assert read_tokenizer(folder, config | {"pad_token_id": 3}).pad_id == 3
    assert read_tokenizer(folder, config | {"pad_token_id": None}).pad_id == 0
    assert read_tokenizer(folder, config).max_length == 48
    write_json(folder / "tokenizer_config.json", {"model_max_length": 10**30})
    assert read_tokenizer(folder, config).max_length is None


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("tokenizer.json", b"{}", "not a tokenizer"),
        ("tokenizer.json", b"[]", "not a JSON object"),
        ("vocab.txt", b"\xff\xfe", "not UTF-8"),
        ("vocab.txt", b"one\ntwo\n", r"lacks the tokens \[CLS\]"),
    ],
)
def test_files_that_are_no_tokenizer(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    folder = write_text_model(tmp_path / "model")
    (folder / name).write_bytes(content)
    with pytest.raises(UsageError, match=why):
        convert(folder)


def convert(folder: Path) -> None:
    write_tokenizer(folder, "distilbert")
    read_tokenizer(folder, text_config())


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    folder = write_text_model(tmp_path / "model")
    (folder / "tokenizer.json").write_bytes(b"\x80\x04\x95")
    with pytest.raises(RefusedInputError):
        read_tokenizer(folder, text_config())


def test_half_of_a_tokenizer_is_told(tmp_path: Path) -> None:
    folder = write_roberta(tmp_path / "model")
    (folder / "merges.txt").unlink()
    with pytest.raises(UsageError, match=r"merges\.txt is missing"):
        write_tokenizer(folder, "roberta")
    with pytest.raises(UsageError, match="save_pretrained"):
        write_tokenizer(folder, "albert")


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["distilbert", "bert", "mobilebert", "roberta"])
def test_the_tokens_are_those_of_transformers(tmp_path: Path, kind: str) -> None:
    transformers = pytest.importorskip("transformers")
    if kind == "roberta":
        folder = write_roberta(tmp_path / "model")
    else:
        folder = write_text_model(tmp_path / "model", model_type=kind)
    reference = transformers.AutoTokenizer.from_pretrained(folder)
    write_tokenizer(folder, kind)
    for text in TEXTS:
        assert tokens(folder, text) == reference(text)["input_ids"], text
