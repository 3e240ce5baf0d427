"""Frames over a pair of descriptors."""

import json
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deployopt.device.framing import (
    CHUNK,
    HEADER,
    WORD,
    Channel,
    ConnectionEndedError,
    frame,
    frame_kind,
)


@pytest.fixture
def pipes() -> Iterator[tuple[Channel, int, int]]:
    """A channel, the descriptor that feeds it, and the one that hears it."""
    reading, feed = os.pipe()
    hear, writing = os.pipe()
    yield Channel(reading, writing, "n"), feed, hear
    for descriptor in (reading, feed, hear, writing):
        with suppress(OSError):
            os.close(descriptor)


def test_words_and_chunks_come_as_they_were_sent(pipes: tuple[Channel, int, int]) -> None:
    channel, feed, _ = pipes
    os.write(feed, frame(WORD, b"{}") + frame(CHUNK, b"abc") + frame(CHUNK, b"d"))
    assert channel.hear() == b"{}"
    assert list(channel.chunks(4)) == [b"abc", b"d"]


def test_what_is_said_bears_nonce_and_number(
    pipes: tuple[Channel, int, int], tmp_path: Path
) -> None:
    channel, _, hear = pipes
    channel.tell(7, "stored", sha256="é")
    kind, length = frame_kind(os.read(hear, HEADER.size))
    assert kind == WORD
    word = json.loads(os.read(hear, length))
    assert word == {"nonce": "n", "number": 7, "op": "stored", "body": {"sha256": "é"}}
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    descriptor = os.open(path, os.O_RDONLY)
    channel.send_file(descriptor)
    os.close(descriptor)
    assert os.read(hear, 100) == frame(CHUNK, b"abc")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"J",
        frame(WORD, b"{}")[:-1],
        frame(CHUNK, b"{}"),
        b"X" * 20,
        struct.pack(">cI", b"J", 2**31) + b"x" * 10,
    ],
)
def test_anything_else_is_the_end(data: bytes, pipes: tuple[Channel, int, int]) -> None:
    channel, feed, _ = pipes
    os.write(feed, data)
    os.close(feed)
    with pytest.raises(ConnectionEndedError):
        channel.hear()


@pytest.mark.parametrize("data", [frame(CHUNK, b"abcd"), frame(CHUNK, b""), frame(WORD, b"abc")])
def test_chunks_of_another_size_are_the_end(data: bytes, pipes: tuple[Channel, int, int]) -> None:
    channel, feed, _ = pipes
    os.write(feed, data)
    with pytest.raises(ConnectionEndedError):
        list(channel.chunks(3))


def test_nobody_hears(pipes: tuple[Channel, int, int]) -> None:
    channel, _, hear = pipes
    os.close(hear)
    with pytest.raises(ConnectionEndedError):
        channel.tell(1, "x")
