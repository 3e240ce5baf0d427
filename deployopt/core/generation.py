"""What is said to a language model and what it answers: the nouns of `chat` and `run`.

Texts are whole and as the model wrote them; whoever shows them makes them safe first.
"""

import math
from enum import StrEnum
from typing import Final, Literal

import msgspec

from deployopt.core.errors import UsageError

SCHEMA_VERSION: Final = 1
TEMPERATURE_MAX: Final = 10.0
PENALTY_MAX: Final = 10.0
SEED_MAX: Final = 2**31 - 1
Role = Literal["system", "user", "assistant"]


class Sampling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the next token is chosen; None: as the model's own files say.

    Temperature 0 takes the likeliest token each time. `top_k` 0 and `top_p` 1 leave no token out,
    `repetition_penalty` 1 changes nothing. Without a seed every run draws anew. `max_tokens` is
    the most of one answer; None: what the context has room for.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        _within("temperature", self.temperature, 0.0, TEMPERATURE_MAX)
        _within("top_k", self.top_k, 0, 2**31 - 1)
        _within("top_p", self.top_p, 0.0, 1.0, above=True)
        _within("repetition_penalty", self.repetition_penalty, 0.0, PENALTY_MAX, above=True)
        _within("seed", self.seed, 0, SEED_MAX)
        _within("max_tokens", self.max_tokens, 1, 2**31 - 1)

    @property
    def says_something(self) -> bool:
        """Whether anything differs from the model's own way."""
        return self != Sampling()


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One side's words in a conversation."""

    role: Role
    content: str


class Ended(StrEnum):
    """Why an answer went no further."""

    END = "end"  # the model ended it
    LENGTH = "length"  # it has as many tokens as were asked for
    CONTEXT = "context"  # the context is full
    STOPPED = "stopped"  # whoever asked wanted no more


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer.

    `prompt_tokens` counts the whole conversation that the model had before it, `kept_tokens` those
    of them that it remembered from the turn before. `first_token_s` is from the message's arrival
    to the first token, None where there is none; `tokens_per_s` counts those after the first, None
    where there is no second. `dropped_turns` were left out to make room, oldest first.
    """

    text: str
    ended: Ended
    prompt_tokens: int
    kept_tokens: int = 0
    answer_tokens: int
    first_token_s: float | None
    tokens_per_s: float | None
    dropped_turns: int = 0


class ChatTurn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `chat --json` prints for one message: an answer, or why there is none."""

    schema_version: int = SCHEMA_VERSION
    turn: int
    message: str
    answer: Answer | None = None
    error: str | None = None


class GenerateResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `run --json` prints for a language model: an answer to each text, in order."""

    schema_version: int = SCHEMA_VERSION
    answers: tuple[Answer, ...]


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of a transcript: who said what, in which conversation, counted by resets."""

    conversation: int
    role: Role
    content: str
    ended: Ended | None = None
    answer_tokens: int | None = None
    first_token_s: float | None = None
    tokens_per_s: float | None = None
    dropped_turns: int = 0


def _within(
    name: str, value: float | None, least: float, most: float, *, above: bool = False
) -> None:
    """Raise UsageError unless `least` ≤ value ≤ `most`, or < with `above`."""
    if value is None:
        return
    if math.isfinite(value) and (least < value if above else least <= value) and value <= most:
        return
    low, high, given = (f"{number:,.10g}" for number in (least, most, value))
    bounds = f"above {low} and at most {high}" if above else f"from {low} to {high}"
    raise UsageError(f"{name.replace('_', ' ')} {given} is not possible: it is {bounds}.")
