"""Frames over two descriptors: words in JSON and chunks of files.

A frame is one byte for its kind, four for its length (big-endian), and that many bytes. Only the
standard library is used: this file is also a part of the program that is sent to a device before
anything is installed there. Reading and writing block in the kernel.
"""

import json
import os
import struct
from collections.abc import Iterator
from typing import Final

WORD: Final = b"J"
CHUNK: Final = b"B"
WORD_MAX: Final = 48 * 2**20
CHUNK_MAX: Final = 2**20
HEADER: Final = struct.Struct(">cI")


class ConnectionEndedError(Exception):
    """The other side has closed the connection."""


def preamble(nonce: str) -> bytes:
    """What stands before the first frame, after whatever a login shell prints."""
    return f"\ndeployopt {nonce}\n".encode()


def frame(kind: bytes, body: bytes) -> bytes:
    """The bytes of one frame."""
    return HEADER.pack(kind, len(body)) + body


def frame_kind(header: bytes) -> tuple[bytes, int]:
    """The kind and length that a frame's first bytes announce; ValueError when it is no frame."""
    kind, length = HEADER.unpack(header)
    most = {WORD: WORD_MAX, CHUNK: CHUNK_MAX}.get(kind)
    if most is None:
        raise ValueError("what came is not a message")
    if length > most:
        raise ValueError(f"a message of {length} bytes was announced")
    return kind, int(length)


class Channel:
    """The device's end. Every word that goes out bears the nonce and the number of its question."""

    def __init__(self, reading: int, writing: int, nonce: str) -> None:
        self._reading = reading
        self._writing = writing
        self.nonce = nonce

    def hear(self) -> bytes:
        """The body of the next word."""
        return self._read(WORD)

    def chunks(self, size: int) -> Iterator[bytes]:
        """The bytes of a file that follows, `size` in all."""
        left = size
        while left > 0:
            chunk = self._read(CHUNK)
            if not 0 < len(chunk) <= left:
                raise ConnectionEndedError
            left -= len(chunk)
            yield chunk

    def say(self, number: int, op: str, body: bytes) -> None:
        """Send a word whose body is JSON already."""
        head = {"nonce": self.nonce, "number": number, "op": op}
        self._write(frame(WORD, json.dumps(head).encode()[:-1] + b',"body":' + body + b"}"))

    def tell(self, number: int, op: str, **facts: object) -> None:
        """Send a word of plain facts."""
        self.say(number, op, json.dumps(facts).encode())

    def send_file(self, descriptor: int) -> None:
        """Send all that is left of a file."""
        while chunk := os.read(descriptor, CHUNK_MAX):
            self._write(frame(CHUNK, chunk))

    def _read(self, wanted: bytes) -> bytes:
        try:
            kind, length = frame_kind(self._exactly(HEADER.size))
        except ValueError as error:
            raise ConnectionEndedError from error
        if kind != wanted:
            raise ConnectionEndedError
        return self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            part = os.read(self._reading, min(length - len(data), CHUNK_MAX))
            if not part:
                raise ConnectionEndedError
            data += part
        return bytes(data)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._writing, view) :]
        except BrokenPipeError as error:
            raise ConnectionEndedError from error
