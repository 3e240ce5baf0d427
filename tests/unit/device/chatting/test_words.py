"""What is said to the model's process and back."""

from pathlib import Path

import pytest

from deployopt.core.errors import DeviceError
from deployopt.core.generation import Ended, Message, Sampling
from deployopt.device.chatting.words import (
    HEADER_BYTES,
    Answered,
    Open,
    Piece,
    Say,
    Stop,
    decode_question,
    decode_reply,
    frame,
)
from deployopt.device.setup import Setup

SETUP = Setup(artifact="a" * 64, model=Path("/m/genai_config.json"), threads=1)
ANSWERED = Answered(
    ended=Ended.STOPPED,
    prompt_tokens=1,
    kept_tokens=0,
    answer_tokens=0,
    first_token_s=None,
    tokens_per_s=None,
    dropped_turns=0,
)


@pytest.mark.parametrize(
    "question",
    [
        Open(setup=SETUP, context=64),
        Say(
            messages=(Message(role="user", content="你\x00"),),
            sampling=Sampling(seed=1),
            fresh=True,
        ),
        Stop(),
    ],
)
def test_questions_arrive_as_they_were_asked(question: Open | Say | Stop) -> None:
    assert decode_question(frame(question)[HEADER_BYTES:]) == question


@pytest.mark.parametrize("reply", [Piece(text="\ufffd"), ANSWERED])
def test_replies_too(reply: Piece | Answered) -> None:
    assert decode_reply(frame(reply)[HEADER_BYTES:]) == reply


@pytest.mark.parametrize("body", [b"", b"{}", b'{"type":"piece"}', b'{"type":"say"}', b"\xff"])
def test_nonsense_is_not_taken_for_a_reply(body: bytes) -> None:
    with pytest.raises(DeviceError, match="nonsense"):
        decode_reply(body)
