"""A GGUF header is read with limits; a file that is cut short or lies is refused."""

import struct
from pathlib import Path

import pytest

from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.sources.gguf_header import ITEMS_MAX, LIST_MAX, TEXT_MAX, read_gguf, read_gguf_header
from tests.fakes.gguf_files import TEXT, UINT32, gguf, key, small, tensor, text

ARCHITECTURE = key("general.architecture", TEXT, text("llama"))
ONE = tensor("w", (64,))
DATA = b"\0" * 256
LIST = 9


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    return path


def test_a_file_says_what_it_holds(tmp_path: Path) -> None:
    keys = [
        ARCHITECTURE,
        key("general.license", TEXT, text("mit")),
        key("tokenizer.words", LIST, struct.pack("<IQ", TEXT, 2) + text("a") + text("bc")),
        key("scores", LIST, struct.pack("<IQ3f", 6, 3, 0, 1, 2)),
        key("general.alignment", UINT32, struct.pack("<I", 64)),
    ]
    tensors = [tensor("a", (32, 4), kind=3), tensor("b", (8,), offset=128)]
    found = read_gguf(written(tmp_path, gguf(keys, tensors, b"\0" * 512)))
    assert (found.architecture, found.licence) == ("llama", "mit")
    assert found.elements == {"Q4_1": 128, "F32": 8}
    assert (found.main_type, found.quantized, found.weights) == ("Q4_1", True, 136)
    assert found.bits == pytest.approx(8 * (80 + 32) / 136)
    assert not read_gguf(written(tmp_path, small())).quantized


def test_sizes_and_shapes_are_kept_and_words_are_not(tmp_path: Path) -> None:
    keys = [
        key("llama.block_count", UINT32, struct.pack("<I", 2)),
        key("llama.attention.head_count", LIST, struct.pack("<IQ2I", UINT32, 2, 8, 4)),
        key("llama.much", LIST, struct.pack("<IQ", UINT32, LIST_MAX + 1) + b"\0" * 4 * 4097),
        key("llama.long", TEXT, text("x" * 2000)),
        key("tokenizer.ggml.eos_token_id", UINT32, struct.pack("<I", 7)),
        key("qwen2.block_count", UINT32, struct.pack("<I", 3)),
        ARCHITECTURE,
    ]
    tensors = [tensor("a", (32, 4)), tensor("b", (8,), offset=512)]
    found = read_gguf_header(written(tmp_path, gguf(keys, tensors, b"\0" * 544)))
    assert found.sizes == {"block_count": 2, "attention.head_count": (8, 4)}
    assert found.tensors == {"a": (4, 32), "b": (8,)}
    assert found.facts.weights == 136


@pytest.mark.parametrize("length", [4, 5, 20, 40, 70, 100, 128, 4000])
def test_a_file_cut_short_is_refused(tmp_path: Path, length: int) -> None:
    whole = small()
    assert read_gguf(written(tmp_path, whole)).weights == 1024
    with pytest.raises(RefusedInputError, match="cut short"):
        read_gguf(written(tmp_path, whole[:length]))
    with pytest.raises(RefusedInputError, match="cut short"):
        read_gguf(written(tmp_path, whole[:-1]))


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        (b"", UsageError, "not a GGUF file"),
        (b"hello, this is text", UsageError, "not a GGUF file"),
        (b"\x80\x04\x95abc", RefusedInputError, "pickle"),
        (b"version https://git-lfs.github.com/spec/v1\n", UsageError, "git lfs pull"),
        (gguf([ARCHITECTURE], [ONE], DATA, version=1), UsageError, "version 1"),
        (
            gguf([ARCHITECTURE, key("split.count", 2, struct.pack("<H", 3))], [ONE], DATA),
            UsageError,
            "one of 3 parts of a model",
        ),
        (gguf([ARCHITECTURE], [ONE], DATA, version=3 << 24), UsageError, "little-endian"),
        (gguf([], [ONE], DATA), UsageError, "names no architecture"),
        (gguf([ARCHITECTURE], [], DATA), UsageError, "no weight"),
        (gguf([ARCHITECTURE], [ONE], DATA, counts=(2**40, 1)), RefusedInputError, "announces"),
        (gguf([ARCHITECTURE], [ONE], DATA, counts=(1, 2**40)), RefusedInputError, "announces"),
        (gguf([ARCHITECTURE], [tensor("w", (64,), kind=77)], DATA), UsageError, "type 77"),
        (gguf([ARCHITECTURE], [tensor("w", (33,), kind=3)], DATA), RefusedInputError, "33 weights"),
        (gguf([ARCHITECTURE], [tensor("w", (0,))], DATA), RefusedInputError, "0 weights"),
        (gguf([ARCHITECTURE], [tensor("w", (2**40, 2**40))], DATA), RefusedInputError, "weights"),
        (gguf([ARCHITECTURE], [tensor("w", (1,) * 5)], DATA), RefusedInputError, "5 dimensions"),
        (gguf([ARCHITECTURE], [tensor("w", (64,), offset=2**62)], DATA), RefusedInputError, "byte"),
        (gguf([key("k", 99, b"")], [ONE], DATA), RefusedInputError, "type 99"),
        (
            gguf([key("k", TEXT, struct.pack("<Q", TEXT_MAX + 1))], [ONE], DATA),
            RefusedInputError,
            "a text of",
        ),
        (
            gguf([key("k", LIST, struct.pack("<IQ", TEXT, ITEMS_MAX + 1))], [ONE], DATA),
            RefusedInputError,
            "a list of",
        ),
        (
            gguf([key("k", LIST, struct.pack("<IQ", LIST, 1))], [ONE], DATA),
            RefusedInputError,
            "a list of the type 9",
        ),
        (
            gguf([ARCHITECTURE, key("general.alignment", UINT32, b"\0" * 4)], [ONE], DATA),
            RefusedInputError,
            "alignment",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_paragraph(
    tmp_path: Path, data: bytes, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as raised:
        read_gguf(written(tmp_path, data))
    assert "\n" not in str(raised.value)
    assert "model.gguf" in str(raised.value)
