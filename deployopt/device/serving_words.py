"""What is said between a device's server and whoever asks it.

In: JSON. Out: records, or IntegrityError where it is of another form. An answer is bound to the
nonce of the connection, the number of the question and the question's own bytes, in which every
file stands by its sha256.
"""

import hashlib
from pathlib import Path
from typing import TypeVar

import msgspec

from deployopt.core.diagnosis import Finding
from deployopt.core.errors import IntegrityError
from deployopt.core.measurement import Machine
from deployopt.core.text import safe_text
from deployopt.device.protocol import Evaluated, Failed, Timed
from deployopt.device.setup import Limits

_T = TypeVar("_T")


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Any word to the device."""

    number: int
    op: str
    body: msgspec.Raw


class Word(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Any word from the device."""

    nonce: str
    number: int
    op: str
    body: msgspec.Raw


class Have(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which of these files are missing?"""

    digests: tuple[str, ...]


class Put(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file is about to come."""

    sha256: str
    size: int


class Placed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that was brought, and the relative path that the request has for it."""

    path: Path
    sha256: str


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request whose paths are relative, and the files that these name."""

    request: msgspec.Raw
    limits: Limits
    files: tuple[Placed, ...]


class AskInTurns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Several of them, for children that are timed beside each other."""

    asks: tuple[Ask, ...]
    limits: Limits


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a fresh child said; a file of `size` bytes follows where it wrote one."""

    bound: str
    reply: Timed | Evaluated
    size: int
    sha256: str


class Answers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What children said that took turns, or why they failed, in the order of the questions."""

    bound: str
    replies: tuple[Timed | Failed, ...]


class CheckedUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What spoils measurements there now, and what does not."""

    findings: tuple[Finding, ...]


class Ready(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The server has started."""

    version: str
    machine: Machine
    throttled: bool


def decode_word(body: bytes | msgspec.Raw, kind: type[_T]) -> _T:
    """Read a word; raises IntegrityError when it is not of this form."""
    try:
        return msgspec.json.decode(body, type=kind, dec_hook=_path_hook)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise IntegrityError(
            f"The other side of the connection spoke nonsense: {safe_text(str(error), 200)}."
        ) from error


def bound_to(nonce: str, number: int, question: bytes) -> str:
    """What an answer carries to show which question it is of."""
    digest = hashlib.sha256(f"deployopt-answer-1 {nonce} {number} ".encode())
    digest.update(question)
    return digest.hexdigest()


def _path_hook(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"{kind.__name__} cannot be read")
