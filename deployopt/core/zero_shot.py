"""The captions that an image-text model chooses among, fixed when it is built.

In: labels, and for each the token ids of one caption or more. Out: the file that lies beside the
model in the store, and back. Refuses (IntegrityError) a file that is not one.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.codec import decode_json, encode_json

FILE: Final = "zero-shot.json"


class Padding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a text tower that reads texts of one length; `masked` where it is told what is padding."""

    length: int
    pad_id: int
    masked: bool


class ZeroShot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`captions` has an entry a label, in their order: the token ids of each of its captions."""

    labels: tuple[str, ...]
    captions: tuple[tuple[tuple[int, ...], ...], ...]
    padding: Padding | msgspec.UnsetType = msgspec.UNSET
    """Where texts are padded, which the captions here are not."""


def encode_zero_shot(fixed: ZeroShot) -> bytes:
    """The bytes of the file."""
    return encode_json(fixed) + b"\n"


def read_zero_shot(folder: Path) -> ZeroShot | None:
    """What lies in the folder; None where there is nothing.

    Raises:
        IntegrityError: the file is not one.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    return decode_json(path.read_bytes(), ZeroShot, where=str(path))
