"""A conversation with a language model's bundle: `Bundle.open(path).chat()`.

In: messages. Out: answers, in pieces as they come or whole; the model has the turns before. Refuses
an empty message, one that is longer than the context, and a system prompt where the model's
template has no place for it.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.generation import Answer, Message, Said, Sampling
from deployopt.device.chatting.process import ModelProcess, Stopped, never
from deployopt.device.chatting.transcript import write_transcript

MESSAGE_MAX: Final = 2**20
"""Characters: far more than any context takes."""


class Conversation:
    """Turns with one model; not for several threads at once. Closed by `close` or `with`."""

    def __init__(
        self,
        process: ModelProcess,
        *,
        system: str | None = None,
        sampling: Sampling | None = None,
        bundle: Path | None = None,
    ) -> None:
        """Begin, with what the model is told before all turns.

        Raises:
            UsageError: the model has no place for a system prompt.
        """
        self._process = process
        self._sampling = sampling or Sampling()
        self._bundle = bundle
        self._system = None if system is None else readable(system)
        if self._system is not None:
            _require_place(process)
        self._turns: list[Message] = []
        self._said: list[Said] = []
        self._resets = 0
        self._fresh = True
        self._begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def has_turns(self) -> bool:
        """Whether the model knows what was said before; without a template it only goes on."""
        return self._process.opened.chat

    @property
    def why_no_turns(self) -> str:
        """What is wrong with a template that is there and cannot be used, or nothing."""
        return self._process.opened.why_not

    @property
    def turns(self) -> tuple[Message, ...]:
        """What the model has in mind, oldest first; dropped turns are not among them."""
        return tuple(self._turns)

    @property
    def last(self) -> Answer | None:
        """The last answer whole."""
        return self._process.last

    def say(self, text: str) -> Answer:
        """The answer to a message.

        Raises:
            UsageError: the message is empty or too long; the conversation may go on.
            DeviceError: the model's process failed; it may not.
        """
        for _ in self.stream(text):
            pass
        answer = self.last
        if answer is None:
            raise DeviceError("The model's process gave no answer.")
        return answer

    def stream(self, text: str, stopped: Stopped = never) -> Iterator[str]:
        """The answer in pieces as they come; then `last` is all of it.

        It ends early when `stopped` returns True, or the caller leaves off: what was said until
        then stays a part of the conversation.

        Raises:
            UsageError, DeviceError: as `say`.
        """
        message = readable(text)
        if not message.strip():
            raise UsageError("The message is empty. Say something.")
        asked = [*self._opening(), *self._turns, Message(role="user", content=message)]
        fresh, self._fresh = self._fresh, False
        try:
            yield from self._process.answer(asked, self._sampling, fresh=fresh, stopped=stopped)
        finally:
            if self.last is not None:
                self._remember(message, self.last)

    def reset(self) -> None:
        """Forget all turns; the system prompt stays, and a seed begins anew."""
        self._turns = []
        self._resets += 1
        self._begin()

    def save(self, path: str | Path) -> None:
        """Write what was said since the beginning, resets included, as JSON Lines.

        Raises:
            UsageError: the file would lie in the bundle, which would not be the one that was built.
            StorageError: it cannot be written; a file that was there is as it was.
        """
        file = Path(path)
        if self._bundle is not None and file.resolve().is_relative_to(self._bundle.resolve()):
            raise UsageError(
                f"{path} lies in the bundle, where nothing may be added. Name a file elsewhere."
            )
        write_transcript(file, self._said)

    def close(self) -> None:
        """Stop the model's process."""
        self._process.close()

    def _begin(self) -> None:
        self._fresh = True
        self._note(*self._opening())

    def _opening(self) -> list[Message]:
        return [] if self._system is None else [Message(role="system", content=self._system)]

    def _remember(self, message: str, answer: Answer) -> None:
        said = Message(role="user", content=message)
        self._note(said)
        reply = Said(conversation=self._resets, role="assistant", content=answer.text)
        self._said.append(
            msgspec.structs.replace(
                reply,
                ended=answer.ended,
                answer_tokens=answer.answer_tokens,
                first_token_s=answer.first_token_s,
                tokens_per_s=answer.tokens_per_s,
                dropped_turns=answer.dropped_turns,
            )
        )
        if not self.has_turns:
            return
        del self._turns[: 2 * answer.dropped_turns]
        # Templates want an answer to each message, and one that never began says nothing.
        if answer.text:
            self._turns += [said, Message(role="assistant", content=answer.text)]

    def _note(self, *messages: Message) -> None:
        self._said += [
            Said(conversation=self._resets, role=m.role, content=m.content) for m in messages
        ]


def readable(text: str) -> str:
    """A message without what no template carries: control characters, halves of characters.

    Raises:
        UsageError: it is too long for any model.
    """
    if len(text) > MESSAGE_MAX:
        raise UsageError(
            f"The message is too long: it has {len(text):,} characters, and {MESSAGE_MAX:,} are "
            "read at most. Say it in fewer words."
        )
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = (c for c in text if c in "\n\t" or (c >= " " and not "\x7f" <= c <= "\x9f"))
    return "".join(kept).encode("utf-8", "replace").decode()


def _require_place(process: ModelProcess) -> None:
    if not process.opened.chat:
        raise UsageError(
            "The model has no chat template, so there is no place for a system prompt. Begin the "
            "message with it."
        )
    if not process.opened.takes_system:
        raise UsageError(
            "The model's chat template has no place for a system prompt. Begin the first message "
            "with it."
        )
