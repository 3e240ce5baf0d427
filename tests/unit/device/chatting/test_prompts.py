"""What of a conversation is read when there is no room for all of it."""

from collections.abc import Sequence

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.generation import Message
from deployopt.device.chatting.prompts import common_start, fitting_prompt, kept_for_answer

SYSTEM = Message(role="system", content="S" * 5)


def write(messages: Sequence[Message]) -> list[int]:
    """A letter a token, one more for each message."""
    return [ord(c) for m in messages for c in f"{m.content}|"]


def told(*lengths: int) -> list[Message]:
    """Messages of such lengths with answers of one letter, the last without."""
    found = []
    for at, length in enumerate(lengths):
        found += [Message(role="user", content=chr(97 + at) * length)]
        found += [Message(role="assistant", content="A")]
    return found[:-1]


def test_what_fits_is_read_whole() -> None:
    prompt = fitting_prompt(told(10, 10, 10), write, 64, None)
    assert (len(prompt.ids), prompt.dropped_turns) == (37, 0)


def test_whole_oldest_turns_go_and_the_system_prompt_stays() -> None:
    prompt = fitting_prompt([SYSTEM, *told(20, 20, 10)], write, 64, None)
    text = "".join(map(chr, prompt.ids))
    assert text == "SSSSS|" + "b" * 20 + "|A|" + "c" * 10 + "|"
    assert prompt.dropped_turns == 1


def test_some_more_go_than_need_to() -> None:
    prompt = fitting_prompt(told(10, 25, 20, 5), write, 72, None)
    # There is room for 63 tokens, and without the first turn there would be 57.
    assert prompt.dropped_turns == 2
    assert len(prompt.ids) == 29


def test_a_message_that_is_too_long_by_itself_is_refused() -> None:
    with pytest.raises(UsageError, match="takes 57 tokens, and there is room for 56"):
        fitting_prompt(told(10, 56), write, 64, None)
    assert fitting_prompt(told(10, 55), write, 64, None).dropped_turns == 1


def test_a_short_answer_leaves_more_room() -> None:
    assert kept_for_answer(2048, None) == 256
    assert kept_for_answer(2048, 4000) == 256
    assert kept_for_answer(2048, 3) == 3
    assert kept_for_answer(32, None) == 8
    assert len(fitting_prompt(told(60), write, 64, 3).ids) == 61


def test_where_two_lists_part() -> None:
    assert common_start([1, 2, 3], [1, 2, 4, 5]) == 2
    assert common_start([], [1]) == 0
    assert common_start([1, 2], [1, 2, 3]) == 2
