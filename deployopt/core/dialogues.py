"""What a language model is tuned with: dialogues, or documents, and both as tokens."""

from enum import StrEnum

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.generation import Role


class Form(StrEnum):
    """How a file holds what a model learns from."""

    MESSAGES = "messages"
    CONVERSATIONS = "conversations"
    PROMPT = "prompt and completion"
    INSTRUCTION = "instruction and output"
    TEXT = "text"

    @property
    def turns(self) -> bool:
        """Whether it tells turns apart, which takes a chat template."""
        return self in {Form.MESSAGES, Form.CONVERSATIONS}


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One side's words; of the assistant's it can be said that they are not to be learnt."""

    role: Role
    content: str
    learnt: bool = True


class Dialogue(msgspec.Struct, frozen=True, kw_only=True):
    """Turns that end with an answer, or a document; `line` is its line in the file."""

    turns: tuple[Turn, ...] = ()
    text: str = ""
    line: int

    @property
    def identity(self) -> str:
        """All that tells it from others."""
        said = [[turn.role, turn.content, turn.learnt] for turn in self.turns]
        return msgspec.json.encode([said, self.text]).decode()

    @property
    def said(self) -> str:
        """What may resemble another's; system prompts are alike in all of a kind."""
        words = [turn.content for turn in self.turns if turn.role != "system"]
        return "\n".join((*words, self.text))


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens, int32 `[n]`, and which of them are learnt, bool `[n]`, never the first.

    `of` is the number of the dialogue or document that they are from.
    """

    ids: npt.NDArray[np.int32]
    learnt: npt.NDArray[np.bool_]
    of: int

    @property
    def judged(self) -> int:
        """Tokens that count."""
        return int(self.learnt.sum())
