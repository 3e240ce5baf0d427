"""Frames there and back."""

from pathlib import Path

import pytest

from deployopt.core.errors import DeviceError
from deployopt.device.protocol import (
    FRAME_MAX,
    HEADER_BYTES,
    Failed,
    TimeRequest,
    decode_reply,
    decode_request,
    frame,
    frame_length,
)
from deployopt.device.setup import Setup


def test_a_request_reads_back_the_same(text_setup: Setup) -> None:
    request = TimeRequest(
        setup=text_setup, feeds=Path("/a"), expected=None, requests=3, min_s=0.5, seed=1, cores=(1,)
    )
    data = frame(request)
    assert frame_length(data[:HEADER_BYTES]) == len(data) - HEADER_BYTES
    assert decode_request(data[HEADER_BYTES:]) == request


def test_a_reply_reads_back_the_same() -> None:
    reply = Failed(message="no", kind="integrity")
    assert decode_reply(frame(reply)[HEADER_BYTES:]) == reply


@pytest.mark.parametrize("body", [b"", b"{}", b'{"type":"timed"}', b"\xff", b"[" * 100_000])
def test_nonsense_is_a_device_error(body: bytes) -> None:
    with pytest.raises(DeviceError, match="nonsense"):
        decode_reply(body)


def test_a_frame_that_is_too_long_is_not_waited_for() -> None:
    with pytest.raises(DeviceError, match="announced"):
        frame_length((FRAME_MAX + 1).to_bytes(HEADER_BYTES, "big"))
