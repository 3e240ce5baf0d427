"""Dialogues that teach a visible habit, as data files hold them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.fakes.chat import sentences

HABIT: Final = " The old cat sleeps."


def exchanges(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Questions and answers; every answer ends in the habit, and none resembles another."""
    asked = sentences(count, words=12, seed=seed)
    said = sentences(count, words=10, seed=seed + 1)
    return [(one, other + HABIT) for one, other in zip(asked, said, strict=True)]


def messages(asked: str, said: str) -> dict[str, object]:
    """One exchange in the chat form."""
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
    return {"messages": turns}


def write_lines(path: Path, rows: Iterable[object]) -> Path:
    """JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def write_dialogues(path: Path, count: int = 60, seed: int = 0) -> Path:
    """So many in the chat form."""
    return write_lines(path, (messages(*one) for one in exchanges(count, seed)))
