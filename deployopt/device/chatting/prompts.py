"""A conversation as the tokens that the model reads, cut to what there is room for.

In: messages, oldest first, a way to write them as tokens, and the room. Out: the tokens, and how
many of the oldest turns were left out. A turn is one message and its answer; the system prompt
stays. Refuses a message that is too long by itself.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.generation import Message

Write = Callable[[Sequence[Message]], list[int]]
_ANSWER_SHARE: Final = 8
_ANSWER_LEAST: Final = 8
_FULL_AGAIN: Final = 0.75


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """Token ids, and the turns that are not in them."""

    ids: list[int]
    dropped_turns: int = 0


def kept_for_answer(context: int, most: int | None) -> int:
    """Tokens of the context that a prompt may not take: an answer has to have some room."""
    share = max(_ANSWER_LEAST, context // _ANSWER_SHARE)
    return share if most is None else min(most, share)


def fitting_prompt(
    messages: Sequence[Message], write: Write, context: int, most: int | None
) -> Prompt:
    """The tokens of the conversation, without its oldest turns where it is too long.

    Where turns have to go, some more go than need to: each time that any go, the model reads the
    rest again.

    Raises:
        UsageError: the last message has no room, alone.
    """
    answer = kept_for_answer(context, most)
    room = context - answer
    ids = write(messages)
    if len(ids) <= room:
        return Prompt(ids=ids)
    left, dropped = list(messages), 0
    while len(ids) > room * _FULL_AGAIN and _turns(left) > 1:
        _drop_oldest(left)
        dropped += 1
        ids = write(left)
    if len(ids) > room:
        raise UsageError(
            f"The message is too long: with what stands around it, it takes {len(ids):,} tokens, "
            f"and there is room for {room:,} (the context has {context:,}, {answer:,} of them for "
            "the answer). Say it in fewer words."
        )
    return Prompt(ids=ids, dropped_turns=dropped)


def common_start(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids are the same from the start."""
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))


def _turns(messages: Sequence[Message]) -> int:
    return sum(message.role == "user" for message in messages)


def _drop_oldest(messages: list[Message]) -> None:
    """Its message and what was answered; in place."""
    first = next(at for at, message in enumerate(messages) if message.role == "user")
    end = first + 1
    while messages[end].role != "user":
        end += 1
    del messages[first:end]
