"""A conversation as text in the model's own form, and text as its tokens.

In: the model's folder and the open model. Out: token ids of messages, text of token ids. The
template is the model's own, filled in by onnxruntime-genai; a model without one is given the last
message as it is. Control tokens in a message are plain text. Refuses a tokenizer that cannot be
read.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.generation import Message
from deployopt.core.text import safe_text
from deployopt.device.chatting.controls import Controls
from deployopt.device.inputs import open_tokenizer

TOKENIZER: Final = "tokenizer.json"
_PROBE: Final = "d9b1f0c3"
"""Words that no template has by itself."""


def has_template(folder: Path) -> bool:
    """Whether the model's files hold a chat template, in either of its two places."""
    config = folder / "tokenizer_config.json"
    beside = (folder / "chat_template.jinja").is_file()
    return beside or (config.is_file() and b'"chat_template"' in config.read_bytes())


class Template(Protocol):
    """What is used of onnxruntime-genai's tokenizer."""

    def apply_chat_template(self, messages: str, *, add_generation_prompt: bool) -> str:
        """The messages, JSON, in the model's form; raises RuntimeError."""
        ...


class Texts:
    """A model's tokenizer, and its template where it has one that can be used."""

    def __init__(self, folder: Path, template: Template | None, why_not: str = "") -> None:
        self._tokenizer = open_tokenizer(folder / TOKENIZER)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._template = template
        self.why_not = why_not
        """Why no template is used."""
        self.takes_system = False
        self._controls = Controls(self._tokenizer)
        if template is None:
            return
        user = Message(role="user", content=_PROBE)
        try:
            written = self._fill([user])
        except UsageError as error:
            self._template, self.why_not = None, str(error.__cause__)
            return
        system = Message(role="system", content=_PROBE[::-1])
        try:
            said = self._fill([system, user])
            self.takes_system = system.content in said
            written += said
        except UsageError:
            self.takes_system = False
        self._controls = Controls(self._tokenizer, written)

    @property
    def chat(self) -> bool:
        """Whether turns can be told apart."""
        return self._template is not None

    def write(self, messages: Sequence[Message]) -> list[int]:
        """The tokens that the model reads before it answers.

        Raises:
            UsageError: the template has no form for this conversation.
        """
        hidden = self._controls.hidden(messages if self.chat else messages[-1:])
        text = self._fill(hidden.messages) if self.chat else hidden.messages[-1].content
        # A template writes the special tokens itself.
        return self._controls.encode(text, hidden.words, add_special_tokens=not self.chat)

    def read(self, ids: Sequence[int]) -> str:
        """The text of tokens, without special ones."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def _fill(self, messages: Sequence[Message]) -> str:
        if self._template is None:
            raise UsageError("The model has no chat template.")
        said = msgspec.json.encode([{"role": m.role, "content": m.content} for m in messages])
        try:
            return self._template.apply_chat_template(said.decode(), add_generation_prompt=True)
        # Besides its own errors the binding lets those of C++ through as these.
        except (RuntimeError, ValueError, UnicodeDecodeError) as error:
            raise UsageError(
                f"The model's chat template has no form for this: {safe_text(str(error), 300)}"
            ) from error
