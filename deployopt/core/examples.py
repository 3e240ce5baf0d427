"""Evaluation examples of one split, as they are before preprocessing, and their file form.

Text: JSON lines `{"text": …, "label": 0}`. Images and arrays: an npz file of samples, one entry an
example (`image`, uint8 `[height, width, channels]`, or the graph's inputs by name), with the labels
in a last entry `labels`. Both forms travel in a bundle and are read on the device.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
import numpy as np

from deployopt.core.errors import RefusedInputError
from deployopt.core.samples import (
    Array,
    Feed,
    StoredFeeds,
    decode_samples,
    encode_samples,
    write_samples,
)

IMAGE: Final = "image"
CAPTION: Final = "caption"
_LABELS: Final = "labels"
Example = str | Feed


class TextLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a text split."""

    text: str
    label: int | None = None


class Examples(msgspec.Struct, frozen=True, kw_only=True):
    """Texts or feeds, and a class index for each; `labels` is None where there are none."""

    inputs: Sequence[Example]
    labels: tuple[int, ...] | None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def annotated(self) -> bool:
        """Whether the inputs are images with boxes (core/boxes.py)."""
        return bool(self.inputs) and "boxes" in self.inputs[0] and not self.is_text

    @property
    def captioned(self) -> bool:
        """Whether the inputs are images with captions (core/pairs.py)."""
        return bool(self.inputs) and CAPTION in self.inputs[0] and not self.is_text

    @property
    def is_text(self) -> bool:
        """Whether the inputs are texts."""
        return bool(self.inputs) and isinstance(self.inputs[0], str)


def encode_examples(examples: Examples) -> tuple[str, bytes]:
    """The file's suffix (`.jsonl` or `.npz`) and its bytes."""
    if examples.is_text:
        labels = examples.labels or (None,) * len(examples)
        lines = [
            msgspec.json.encode(TextLine(text=str(text), label=label))
            for text, label in zip(examples.inputs, labels, strict=True)
        ]
        return ".jsonl", b"\n".join(lines) + b"\n"
    feeds: list[Feed] = [x for x in examples.inputs if not isinstance(x, str)]
    if examples.labels is not None:
        feeds.append({_LABELS: np.asarray(examples.labels, dtype=np.int64)})
    return ".npz", encode_samples(feeds)


def write_feeds(
    stream: BinaryIO, feeds: Iterable[Feed], labels: Callable[[], Sequence[int]]
) -> None:
    """The npz form into a file, one feed in memory at a time; `labels` is asked at the end."""

    def entries() -> Iterator[Feed]:
        yield from feeds
        yield {_LABELS: np.asarray(labels(), dtype=np.int64)}

    write_samples(stream, entries())


def open_examples(path: Path) -> Examples:
    """As `decode_examples`, but feeds are read from the file when they are asked for.

    Raises:
        RefusedInputError: not such a file.
    """
    if path.suffix == ".jsonl":
        return _decode_text(path)
    feeds = StoredFeeds(path)
    last = feeds[len(feeds) - 1] if len(feeds) else {}
    if set(last) != {_LABELS}:
        return Examples(inputs=feeds, labels=None)
    labels = tuple(int(x) for x in last[_LABELS])
    if len(labels) != len(feeds) - 1:
        raise RefusedInputError(f"{path} has {len(feeds) - 1} examples and {len(labels)} labels.")
    return Examples(inputs=feeds.first(len(labels)), labels=labels)


def decode_examples(path: Path) -> Examples:
    """Read what `encode_examples` wrote.

    Raises:
        RefusedInputError: not such a file.
    """
    if path.suffix == ".jsonl":
        return _decode_text(path)
    feeds: list[dict[str, Array]] = decode_samples(path)
    if feeds and set(feeds[-1]) == {_LABELS}:
        labels = tuple(int(x) for x in feeds[-1][_LABELS])
        if len(labels) != len(feeds) - 1:
            raise RefusedInputError(
                f"{path} has {len(feeds) - 1} examples and {len(labels)} labels."
            )
        return Examples(inputs=feeds[:-1], labels=labels)
    return Examples(inputs=feeds, labels=None)


def _decode_text(path: Path) -> Examples:
    decoder = msgspec.json.Decoder(TextLine)
    try:
        lines = [decoder.decode(line) for line in path.read_bytes().splitlines() if line]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedInputError(f"{path} is not a file of examples: {error}.") from error
    known = [line.label for line in lines if line.label is not None]
    if known and len(known) != len(lines):
        raise RefusedInputError(f"{path} has labels on {len(known)} of {len(lines)} lines.")
    return Examples(inputs=[line.text for line in lines], labels=tuple(known) if known else None)
