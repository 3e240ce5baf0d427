"""What the supervisor and its child say: length-framed JSON on a descriptor of its own.

A frame is four bytes, big-endian, and that many bytes of JSON. Neither stdout nor pickle is used: a
runtime that prints, or a model that does, cannot speak for the child.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from deployopt.core.codec import encode_json
from deployopt.core.errors import DeviceError
from deployopt.core.measurement import Round
from deployopt.device.setup import EvaluationSet, Setup

Kind = Literal["device", "integrity", "storage", "usage"]
FRAME_MAX: Final = 32 * 2**20
_HEADER: Final = struct.Struct(">I")


class TimeRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="time"
):
    """One round: `requests` timed ones and at least `min_s` seconds, on `cores` only."""

    setup: Setup
    feeds: Path
    expected: Path | None
    requests: int
    min_s: float
    seed: int
    cores: tuple[int, ...] = ()
    arrivals_per_s: float | None = None
    """Requests come by themselves at this rate; None: one follows another."""
    turn_s: float | None = None
    """Timed in turns of so many seconds, each begun by a `Turn`; None: at one go."""
    at_once: bool = False
    """Timed while the others that were given with it are, in one turn that begins for all."""


class EvaluateRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="evaluate"
):
    """Every example once; the outputs go to the file `result`, one entry a request."""

    setup: Setup
    data: EvaluationSet
    result: Path


class AnswerRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="answer"
):
    """One round of a language model: `tokens` greedy tokens to each prompt, on `cores` only.

    `prompts` holds token ids, `expected` the answers that the accuracy run gave to them (both
    core/samples.py); `context` tokens are set aside for a prompt and its answer.
    """

    setup: Setup
    prompts: Path
    expected: Path | None
    context: int
    tokens: int
    requests: int
    min_s: float
    seed: int
    cores: tuple[int, ...] = ()
    turn_s: float | None = None
    """As in TimeRequest; a turn may end between two tokens, not within a prompt."""


class SettingRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="setting"
):
    """Answers to prompts of one length, `batch` of them at a time: figures, not a round to judge.

    At most `requests` are timed, and no more once `seconds` are over, but two in any case.
    """

    setup: Setup
    prompts: Path
    context: int
    tokens: int
    batch: int
    requests: int
    seconds: float
    cores: tuple[int, ...] = ()


class ScoreRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="score"
):
    """What a language model says of documents (core/scores.py); goes to the file `result`.

    `documents` holds token ids, as do `asked` (prompts) and `chosen` (the reference's answers to
    them), and `timed`, prompts that are answered with `tokens` tokens each. `choices` holds
    questions whose choices are scored (core/choices.py). `fill` says whether a context is filled to
    its end, for the memory that this takes.
    """

    setup: Setup
    documents: Path
    asked: Path
    chosen: Path
    timed: Path
    choices: Path | None = None
    context: int
    tokens: int
    fill: bool
    result: Path


Timing = TimeRequest | AnswerRequest
"""What is answered with a round."""
Asking = EvaluateRequest | ScoreRequest
"""What is answered with a file."""
Request = Timing | Asking | SettingRequest


class Turn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="turn"):
    """Said to a child that waits: the machine is yours for a turn."""


class Working(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="working"):
    """A sign of life: how far it has come."""

    share: float
    what: str


class Waiting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="waiting"):
    """Ready for the next turn; nothing is computed before it is given."""


class Timed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="timed"):
    """The round that was asked for."""

    round: Round


class Evaluated(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="evaluated"
):
    """The outputs are in the file."""

    requests: int
    examples: int
    non_finite: int
    """Examples with an output that is not finite."""
    peak_rss_bytes: int
    base_rss_bytes: int
    seconds: float


class Failed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="failed"):
    """What went wrong, as a paragraph, and which kind of error that is."""

    message: str
    kind: Kind = "device"


Reply = Working | Waiting | Timed | Evaluated | Failed
Say = Callable[[Reply], None]
Wait = Callable[[], None]


def _path_hook(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"{kind.__name__} cannot be read")


_T = TypeVar("_T")
_REQUESTS: Final[msgspec.json.Decoder[Request]] = msgspec.json.Decoder(Request, dec_hook=_path_hook)
_TURNS: Final[msgspec.json.Decoder[Turn]] = msgspec.json.Decoder(Turn)
_REPLIES: Final[msgspec.json.Decoder[Reply]] = msgspec.json.Decoder(Reply, dec_hook=_path_hook)


def frame(message: Request | Turn | Reply) -> bytes:
    """The bytes of one message."""
    body = encode_json(message)
    return _HEADER.pack(len(body)) + body


def frame_length(header: bytes) -> int:
    """The length that a frame's first bytes announce; raises DeviceError when it is too long."""
    length = int(_HEADER.unpack(header)[0])
    if length > FRAME_MAX:
        raise DeviceError(f"The measuring process announced a message of {length} bytes.")
    return length


HEADER_BYTES: Final = _HEADER.size


def decode_request(body: bytes) -> Request:
    """Read a request in the child."""
    return _decode(body, _REQUESTS)


def decode_turn(body: bytes) -> Turn:
    """Read in the child that its turn has come."""
    return _decode(body, _TURNS)


def decode_reply(body: bytes) -> Reply:
    """Read a reply in the parent; raises DeviceError when it is not one."""
    return _decode(body, _REPLIES)


def _decode(body: bytes, decoder: "msgspec.json.Decoder[_T]") -> "_T":
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DeviceError(f"The measuring process spoke nonsense: {error}.") from error
