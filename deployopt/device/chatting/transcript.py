"""What was said, as a file: JSON Lines, one message a line, whole or not there at all."""

from collections.abc import Sequence
from pathlib import Path

from deployopt.core.codec import encode_json
from deployopt.core.errors import UsageError
from deployopt.core.flowing_text import escaped_json
from deployopt.core.generation import Said
from deployopt.store.writing import atomic_write_bytes


def encode_transcript(said: Sequence[Said]) -> bytes:
    """A line each; nothing in it repaints the terminal of whoever reads it."""
    return b"".join(escaped_json(encode_json(one)) + b"\n" for one in said)


def write_transcript(path: Path, said: Sequence[Said]) -> None:
    """Put it at `path`, replacing a file that is there.

    Raises:
        UsageError: a folder, or something else that is no file, is there.
        StorageError: it cannot be written; what was there is as it was.
    """
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file, so nothing was written. Name one.")
    atomic_write_bytes(path, encode_transcript(said))
