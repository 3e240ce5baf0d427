"""Control tokens that stand in what people write, read as the plain text that they are there.

In: a tokenizer, and text that the model's template writes by itself. Out: token ids in which only
the template's own control tokens are any. Such a token is a special one, or another added one that
the template writes. Where a message holds one, the conversation goes through a second tokenizer, in
which they have names that nobody knows. Refuses such a message where the tokenizer does not bear
other names.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from tokenizers import Tokenizer

from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.generation import Message
from deployopt.device.inputs import tokenizer_of

_NAME_BYTES: Final = 8
_NONE: Final = re.compile(r"(?!)")


class Hidden(NamedTuple):
    """Messages, and what the words in them stand for; None where nothing had to be hidden."""

    messages: tuple[Message, ...]
    words: Mapping[str, str] | None = None


class Controls:
    """What is a control token of one model, and how messages are written that hold some."""

    def __init__(self, tokenizer: Tokenizer, written: str = "") -> None:
        """`written` is what the template writes around messages."""
        self._tokenizer = tokenizer
        added = tokenizer.get_added_tokens_decoder().values()
        special = {token.content for token in added if token.special}
        named = special | {t.content for t in added if t.content.strip() and t.content in written}
        self._special = _any_of(special)
        self._any = _any_of(named)
        self._ids = {tokenizer.token_to_id(name) for name in named}
        self._names = sorted(named)
        self._secret = secrets.token_hex(_NAME_BYTES)
        self._renamed: Tokenizer | None = None

    def hidden(self, messages: Sequence[Message]) -> Hidden:
        """The messages with a word in place of each control token that they hold.

        Of an answer only special ones: for what else a model writes between its own marks its
        template may look.
        """
        if not any(self._held(message.content) for message in messages):
            return Hidden(messages=tuple(messages))
        words: dict[str, str] = {}

        def hide(found: re.Match[str]) -> str:
            word = f"{self._secret}{self._names.index(found.group())}x"
            words[word] = found.group()
            return word

        written = []
        for message in messages:
            pattern = self._special if message.role == "assistant" else self._any
            content = pattern.sub(hide, message.content)
            written.append(Message(role=message.role, content=content))
        return Hidden(messages=tuple(written), words=words)

    def encode(
        self, text: str, words: Mapping[str, str] | None, *, add_special_tokens: bool
    ) -> list[int]:
        """The tokens of a text in which each of the words stands for plain text.

        Raises:
            UsageError: this tokenizer cannot tell both apart.
        """
        tokenizer, text = self.read_as(text, words)
        return list(tokenizer.encode(text, add_special_tokens=add_special_tokens).ids)

    def read_as(self, text: str, words: Mapping[str, str] | None) -> tuple[Tokenizer, str]:
        """The tokenizer to read a text with, and the text as that one reads it.

        Raises:
            UsageError: this tokenizer cannot tell both apart.
        """
        if words is None:
            return self._tokenizer, text
        tokenizer = self._told_apart()
        text = self._any.sub(lambda found: found.group() + self._secret, text)
        for word, plain in words.items():
            text = text.replace(word, plain)
        return tokenizer, text

    def _held(self, text: str) -> bool:
        if self._any.search(text):
            return True
        # Some are looked for in text that was normalized before.
        found = self._tokenizer.encode(text, add_special_tokens=False).ids
        return not self._ids.isdisjoint(found)

    def _told_apart(self) -> Tokenizer:
        """The tokenizer with other names for control tokens, made once."""
        if self._renamed is None:
            said = self._tokenizer.to_str()
            for name in self._names:
                said = said.replace(_quoted(name), _quoted(name + self._secret))
            try:
                self._renamed = tokenizer_of(said, "The tokenizer with other names")
            except IntegrityError as error:
                raise UsageError(
                    "The message holds a control token of the model's, such as "
                    f"{self._names[0]!r}, and its tokenizer cannot read that as plain text. Say it "
                    "without."
                ) from error
            self._renamed.no_truncation()
            self._renamed.no_padding()
        return self._renamed


def _any_of(names: set[str]) -> re.Pattern[str]:
    """The longest first: one may begin as another does."""
    longest = sorted(names, key=lambda name: (-len(name), name))
    return re.compile("|".join(map(re.escape, longest))) if longest else _NONE


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
