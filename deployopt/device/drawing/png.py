"""Pixels as a PNG file's bytes (ISO/IEC 15948): 8 bits a channel, no filter, nothing else in it."""

import struct
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
_TRUECOLOUR: Final = 2


def png_bytes(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Of uint8 `[height, width, 3]`."""
    height, width, _ = pixels.shape
    # Each row begins with the number of its filter: 0, none.
    rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)
    rows[:, 1:] = pixels.reshape(height, 3 * width)
    header = struct.pack(">IIBBBBB", width, height, 8, _TRUECOLOUR, 0, 0, 0)
    data = zlib.compress(rows.tobytes(), 6)
    return _MAGIC + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
