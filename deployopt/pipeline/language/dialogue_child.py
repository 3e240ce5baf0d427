"""The confined process that writes dialogues as a model reads them: template and tokenizer.

In: a folder once, then dialogues, or documents. Out: token ids, and which of them are learnt. The
template is a stranger's program; it runs here and nowhere else. What is learnt of a dialogue is the
assistant's words and what ends them. Control tokens in what people wrote are plain text, as in
`chat`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.confinement.child import main_if
from deployopt.core.dialogues import Turn
from deployopt.core.errors import UsageError
from deployopt.core.generation import Message
from deployopt.device.chatting.controls import Controls, Hidden
from deployopt.device.inputs import open_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from deployopt.modeling.language.templates import ChatTemplate as Template

_TOKENIZER: Final = "tokenizer.json"
_PROBE: Final = "d9b1f0c3"
"""A word that no template has by itself."""
Spans = list[tuple[int, int]]


class Opening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="open"):
    """The model's folder; `turns`: whether its template is used; `end` ends a document."""

    folder: str
    turns: bool
    end: int | None


class Telling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="tell"):
    """Dialogues, or documents as one turn that is learnt, perhaps after one that is not."""

    dialogues: tuple[tuple[Turn, ...], ...]


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One dialogue: int32 ids and bool marks of each sample, its text, or why there is none.

    A template that rewrites earlier turns once an answer follows makes a sample of each answer.
    """

    samples: tuple[tuple[bytes, bytes], ...] = ()
    text: str = ""
    problem: str = ""


class _Model:
    """What one folder needs to write dialogues."""

    def __init__(self, asked: Opening) -> None:
        folder = Path(asked.folder)
        self._end = asked.end
        self._template: Template | None = None
        self._tokenizer = open_tokenizer(folder / _TOKENIZER)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        written = ""
        if asked.turns:
            from deployopt.modeling.language.templates import ChatTemplate

            self._template = ChatTemplate(folder)
            probes = [Message(role="user", content=_PROBE), Message(role="assistant", content="x")]
            written = self._template.fill(probes, prompt=False)
        self._controls = Controls(self._tokenizer, written)
        added = self._tokenizer.get_added_tokens_decoder().values()
        self._specials = tuple(token.content for token in added if token.special)

    def told(self, turns: Sequence[Turn]) -> Told:
        """One dialogue's samples."""
        messages = [Message(role=turn.role, content=turn.content) for turn in turns]
        try:
            hidden = self._controls.hidden(messages)
            if self._template is None:
                return self._continued(turns, hidden)
            written = list(_written(self._template, hidden.messages, turns, self._specials))
            return Told(
                samples=tuple(self._sample(text, spans, hidden) for text, spans in written),
                # With names hidden in it, it is no text to be read elsewhere.
                text="" if hidden.words else written[-1][0],
            )
        except UsageError as error:
            return Told(problem=str(error))

    def _sample(self, text: str, spans: Spans, hidden: Hidden) -> tuple[bytes, bytes]:
        tokenizer, read = self._controls.read_as(text, hidden.words)
        places = [
            tuple(len(self._controls.read_as(text[:at], hidden.words)[1]) for at in span)
            for span in spans
        ]
        # A template writes the special tokens itself.
        encoded = tokenizer.encode(read, add_special_tokens=False)
        learnt = np.zeros(len(encoded.ids), dtype=np.bool_)
        offsets = np.asarray(encoded.offsets, dtype=np.int64).reshape(-1, 2)
        for start, end in places:
            learnt |= (offsets[:, 0] >= start) & (offsets[:, 1] <= end)
        learnt &= offsets[:, 1] > offsets[:, 0]
        return _packed(encoded.ids, learnt)

    def _continued(self, turns: Sequence[Turn], hidden: Hidden) -> Told:
        """Without a template one text follows the other, as they stand; then it ends."""
        given = "".join(
            message.content
            for message, turn in zip(hidden.messages, turns, strict=True)
            if turn.role != "assistant"
        )
        text = given + hidden.messages[-1].content
        tokenizer, read = self._controls.read_as(text, hidden.words)
        start = len(self._controls.read_as(given, hidden.words)[1])
        ids, offsets = _open_ended(tokenizer, read)
        learnt = [begin >= start and end > begin for begin, end in offsets]
        if self._end is not None:
            ids, learnt = [*ids, self._end], [*learnt, True]
        sample = _packed(ids, np.asarray(learnt, dtype=np.bool_))
        return Told(samples=(sample,), text="" if hidden.words else text)


def _open_ended(tokenizer: "Tokenizer", text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """As a model reads it, without the tokens that would end it."""
    encoded = tokenizer.encode(text, add_special_tokens=True)
    count = len(encoded.ids)
    while count and encoded.special_tokens_mask[count - 1]:
        count -= 1
    return encoded.ids[:count], encoded.offsets[:count]


def _written(
    template: "Template",
    messages: Sequence[Message],
    turns: Sequence[Turn],
    specials: tuple[str, ...],
) -> Iterator[tuple[str, Spans]]:
    """Texts, each with where in it the assistant's words are; all turns in one where possible."""
    whole = template.fill(messages, prompt=False)
    inside: Spans = []
    for at, turn in enumerate(turns):
        if turn.role != "assistant" or not turn.learnt:
            continue
        before = template.fill(messages[:at], prompt=True)
        after = template.fill(messages[: at + 1], prompt=False)
        start = _common(before, after)
        if start < _common(template.fill(messages[:at], prompt=False), after):
            raise UsageError("the model's chat template does not let an answer be told apart.")
        span = (start, _end_of(after, specials))
        if whole.startswith(after):
            inside.append(span)
        else:
            yield after, [span]
    if inside:
        yield whole, inside


def _common(one: str, other: str) -> int:
    """How many characters are the same from the start."""
    if other.startswith(one):
        return len(one)
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _end_of(text: str, specials: tuple[str, ...]) -> int:
    """Without the blanks that follow the token which ends an answer: nobody waits for them."""
    bare = text.rstrip()
    return len(bare) if bare.endswith(specials) else len(text)


def _packed(ids: Sequence[int], learnt: npt.NDArray[np.bool_]) -> tuple[bytes, bytes]:
    if learnt.size:
        learnt[0] = False
    return np.asarray(ids, dtype=np.int32).tobytes(), learnt.tobytes()


_OPENED: list[_Model] = []


def answer(question: bytes) -> bytes:
    """Open a folder, or write dialogues for the one that was opened."""
    asked = msgspec.msgpack.decode(question, type=Opening | Telling)
    if isinstance(asked, Opening):
        _OPENED[:] = [_Model(asked)]
        return b""
    return msgspec.msgpack.encode([_OPENED[0].told(turns) for turns in asked.dialogues])


main_if(__name__, answer)
