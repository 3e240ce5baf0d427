"""A PNG file's bytes, read again by another reader, and by hand."""

import io
import struct
import zlib

import numpy as np
import pytest

from deployopt.device.drawing.png import png_bytes

LOT = np.random.default_rng(0)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (64, 32)])
def test_another_reader_sees_the_same_pixels(size: tuple[int, int]) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = LOT.integers(0, 256, (*size, 3), dtype=np.uint8)
    with image.open(io.BytesIO(png_bytes(pixels))) as opened:
        opened.load()
        assert (opened.format, opened.mode) == ("PNG", "RGB")
        np.testing.assert_array_equal(np.asarray(opened), pixels)


def test_every_chunk_has_its_check() -> None:
    data = png_bytes(LOT.integers(0, 256, (2, 3, 3), dtype=np.uint8))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, kinds = 8, []
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        body = data[at + 4 : at + 8 + length]
        (check,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert zlib.crc32(body) == check
        kinds.append(body[:4])
        at += 12 + length
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]
