"""The device's half of bringing a file."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from deployopt.device.framing import CHUNK, HEADER, Channel, frame, frame_kind
from deployopt.device.transfer import take_file, tell_missing
from deployopt.store.receiving import Objects

DATA = b"model"
DIGEST = hashlib.sha256(DATA).hexdigest()


def _said(hear: int) -> list[tuple[str, dict[str, object]]]:
    data, words = os.read(hear, 10_000), []
    while data:
        _, length = frame_kind(data[: HEADER.size])
        word = json.loads(data[HEADER.size : HEADER.size + length])
        words.append((word["op"], word["body"]))
        data = data[HEADER.size + length :]
    return words


@pytest.mark.parametrize(
    ("sent", "last"),
    [(DATA, ("stored", {"sha256": DIGEST})), (b"other", ("failed", "integrity"))],
)
def test_a_file_comes(sent: bytes, last: tuple[str, object], tmp_path: Path) -> None:
    reading, feed = os.pipe()
    hear, writing = os.pipe()
    channel, objects = Channel(reading, writing, "n"), Objects(tmp_path)
    os.write(feed, frame(CHUNK, sent))
    tell_missing(channel, 1, objects, [DIGEST])
    take_file(channel, 2, objects, DIGEST, len(DATA))
    missing, offset, end = _said(hear)
    assert missing == ("missing", {"digests": [DIGEST]})
    assert offset == ("from", {"offset": 0})
    assert end == last or (end[0], end[1].get("kind")) == last
    for descriptor in (reading, feed, hear, writing):
        os.close(descriptor)
