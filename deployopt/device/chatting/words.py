"""What is said between a conversation and the process that has the model.

Frames are those of device/protocol.py: four bytes of length, then JSON, on a descriptor of its own.
"""

import struct
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from deployopt.core.codec import encode_json
from deployopt.core.errors import DeviceError
from deployopt.core.generation import Ended, Message, Sampling
from deployopt.device.protocol import Kind
from deployopt.device.setup import Setup

_HEADER: Final = struct.Struct(">I")
HEADER_BYTES: Final = _HEADER.size


class Open(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="open"):
    """Open the model, with room for so many tokens of prompt and answer together."""

    setup: Setup
    context: int


class Say(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="say"):
    """Go on with this conversation, whose last message is the new one.

    `fresh` forgets whatever was drawn before, so that the same seed gives the same answer.
    """

    messages: tuple[Message, ...]
    sampling: Sampling
    fresh: bool


class Stop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="stop"):
    """No more of this answer."""


class Opened(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="opened"):
    """The model is there.

    `chat`: it has a template for turns; `why_not` says what is wrong with one that cannot be used.
    `takes_system`: the template has a place for a system prompt.
    """

    chat: bool
    takes_system: bool
    why_not: str = ""


class Reading(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="reading"):
    """A sign of life: so many tokens of the prompt are left to be read."""

    left: int


class Piece(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="piece"):
    """More of the answer, whole characters."""

    text: str


class Answered(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="answered"
):
    """The answer is all there; fields as in core.generation.Answer."""

    ended: Ended
    prompt_tokens: int
    kept_tokens: int
    answer_tokens: int
    first_token_s: float | None
    tokens_per_s: float | None
    dropped_turns: int


class Refused(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="refused"):
    """Nothing was answered to this message, and why; another may be."""

    message: str


class Failed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="failed"):
    """Nothing more will be answered."""

    message: str
    kind: Kind = "device"


Question = Open | Say | Stop
Reply = Opened | Reading | Piece | Answered | Refused | Failed
_T = TypeVar("_T")


def _path_hook(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"{kind.__name__} cannot be read")


_QUESTIONS: Final[msgspec.json.Decoder[Question]] = msgspec.json.Decoder(
    Question, dec_hook=_path_hook
)
_REPLIES: Final[msgspec.json.Decoder[Reply]] = msgspec.json.Decoder(Reply)


def frame(message: Question | Reply) -> bytes:
    """The bytes of one message."""
    body = encode_json(message)
    return _HEADER.pack(len(body)) + body


def decode_question(body: bytes) -> Question:
    """Read in the process that has the model."""
    return _decode(body, _QUESTIONS)


def decode_reply(body: bytes) -> Reply:
    """Read by whoever asked; raises DeviceError when it is not a reply."""
    return _decode(body, _REPLIES)


def _decode(body: bytes, decoder: "msgspec.json.Decoder[_T]") -> "_T":
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DeviceError(f"The model's process spoke nonsense: {error}.") from error
