"""Dialogues as tokens, with the assistant's marked: asked of a confined process, lot by lot.

In: dialogues in one form, the base. Out: samples, in the dialogues' order, and the held-out ones'
texts. Refuses turns where the base has no chat template, and, with file and line, what the template
has no form for.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import numpy as np

from deployopt.confinement.reader import Bounds, Reader, StoppedError
from deployopt.core.dialogues import Dialogue, Form, Sample, Turn
from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.interface import PromptInputs
from deployopt.pipeline.language.dialogue_child import Opening, Telling, Told
from deployopt.sources.checks import read_object
from deployopt.sources.training_base import TrainingBase

CHILD: Final = "deployopt.pipeline.language.dialogue_child"
BOUNDS: Final = Bounds(wall_s=120.0, memory_bytes=2 * 2**30)
_LOT_CHARACTERS: Final = 500_000
_LOT_MOST: Final = 500


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """Samples, `of` counting the dialogues; `texts` are as the model reads them, "" where none."""

    samples: tuple[Sample, ...]
    texts: tuple[str, ...]


class Renderer:
    """One base's template and tokenizer; closed by `with`."""

    def __init__(self, base: TrainingBase, form: Form) -> None:
        """Raise UsageError where the data hold turns and the base cannot tell them apart."""
        self._templated = form is not Form.TEXT and _chats(base)
        if form.turns and not self._templated:
            raise UsageError(
                f"{base.name} has no chat template, so nothing says how it would read turns. Tune "
                "an instruct or chat model, add its chat_template.jinja to the folder, or give "
                'lines of {"prompt", "completion"} or {"text"}, which it goes on with as they are.'
            )
        self._base = base
        self._reader = Reader(CHILD, [base.folder.resolve()], BOUNDS)

    def __enter__(self) -> Self:
        opening = Opening(
            folder=str(self._base.folder.resolve()),
            turns=self._templated,
            end=None if self._templated else _end_token(self._base.folder),
        )
        self._asked(msgspec.msgpack.encode(opening))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._reader.close()

    @property
    def templated(self) -> bool:
        """Whether the model's chat template is used."""
        return self._templated

    def render(self, dialogues: Sequence[Dialogue], where: str) -> Rendered:
        """The samples of these dialogues of the file `where`.

        Raises:
            UsageError: the template has no form for one of them; says which line.
            RefusedInputError: the template broke its process, or would not end.
        """
        samples: list[Sample] = []
        texts: list[str] = []
        for lot in _lots(dialogues):
            question = Telling(dialogues=tuple(map(_turns, lot)))
            body = self._asked(msgspec.msgpack.encode(question))
            told = msgspec.msgpack.decode(body, type=list[Told])
            for dialogue, one in zip(lot, told, strict=True):
                if one.problem:
                    raise UsageError(f"{where}, line {dialogue.line}: {one.problem}")
                samples += [_sample(*packed, len(texts)) for packed in one.samples]
                texts.append(one.text)
        return Rendered(samples=tuple(samples), texts=tuple(texts))

    def _asked(self, question: bytes) -> bytes:
        try:
            return self._reader.ask(question)
        except StoppedError as error:
            raise RefusedInputError(
                f"The chat template or the tokenizer of {self._base.name} was not used: running it "
                f"in a process of its own {error}. Take another model, or mend its template."
            ) from error


def _chats(base: TrainingBase) -> bool:
    return isinstance(base.inputs, PromptInputs) and base.inputs.chat


def _lots(dialogues: Sequence[Dialogue]) -> Iterator[list[Dialogue]]:
    lot: list[Dialogue] = []
    size = 0
    for one in dialogues:
        length = len(one.identity)
        if lot and (size + length > _LOT_CHARACTERS or len(lot) == _LOT_MOST):
            yield lot
            lot, size = [], 0
        lot.append(one)
        size += length
    if lot:
        yield lot


def _turns(dialogue: Dialogue) -> tuple[Turn, ...]:
    return dialogue.turns or (Turn(role="assistant", content=dialogue.text),)


def _sample(ids: bytes, learnt: bytes, of: int) -> Sample:
    return Sample(ids=np.frombuffer(ids, np.int32), learnt=np.frombuffer(learnt, np.bool_), of=of)


def _end_token(folder: Path) -> int | None:
    """What the model's config says ends a text; the first of several."""
    given = read_object(folder / "config.json").get("eos_token_id")
    first = given[0] if isinstance(given, list) and given else given
    return first if isinstance(first, int) else None
