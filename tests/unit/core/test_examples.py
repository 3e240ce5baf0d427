"""Examples in files: the same all at once and one by one."""

from pathlib import Path

import numpy as np
import pytest

from deployopt.core.errors import RefusedInputError
from deployopt.core.examples import (
    Examples,
    decode_examples,
    encode_examples,
    open_examples,
    write_feeds,
)
from deployopt.core.samples import Feed, encode_samples

FEEDS: list[Feed] = [{"pixels": np.full((1, 2, 2), at, dtype=np.uint8)} for at in range(12)]
LABELS = tuple(at % 3 for at in range(12))


def test_feeds_that_are_written_one_by_one_are_the_same_file(tmp_path: Path) -> None:
    path, labels = tmp_path / "a.npz", list[int]()

    def told() -> list[int]:
        labels.extend(LABELS)
        return labels

    with path.open("wb") as stream:
        write_feeds(stream, iter(FEEDS), told)
    assert path.read_bytes() == encode_examples(Examples(inputs=FEEDS, labels=LABELS))[1]


def test_feeds_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(encode_examples(Examples(inputs=FEEDS, labels=LABELS))[1])
    opened, whole = open_examples(path), decode_examples(path)
    assert opened.labels == whole.labels == LABELS
    assert len(opened) == len(opened.inputs) == 12
    for at in (11, 0, 5):
        feed = opened.inputs[at]
        assert not isinstance(feed, str)
        assert feed["pixels"][0, 0, 0] == at
    with pytest.raises(IndexError):
        opened.inputs[12]


def test_feeds_without_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(encode_samples(FEEDS))
    assert open_examples(path).labels is None
    assert len(open_examples(path)) == 12


def test_texts_are_opened_as_they_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(encode_examples(Examples(inputs=["one", "two"], labels=(0, 1)))[1])
    assert open_examples(path) == decode_examples(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x93NUMPY none"])
def test_what_is_no_such_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(RefusedInputError):
        open_examples(path)


def test_a_damaged_entry_is_refused_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    data = bytearray(encode_examples(Examples(inputs=FEEDS, labels=LABELS))[1])
    at = data.index(b"000003/pixels.npy") + 40
    data[at : at + 8] = b"\xff" * 8
    path.write_bytes(bytes(data))
    opened = open_examples(path)
    with pytest.raises(RefusedInputError, match="is damaged"):
        opened.inputs[3]
