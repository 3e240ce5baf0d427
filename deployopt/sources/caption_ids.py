"""Captions as an image-text model reads them: token ids, whole, since none is cut.

In: a model's folder, what its text tower takes, a text. Out: its ids. Refuses, with the place that
it is told, a text of more tokens than the tower reads, and one that the tokenizer fails on.
"""

from pathlib import Path
from typing import Final

from deployopt.core.errors import UsageError
from deployopt.core.interface import TextInputs
from deployopt.core.text import safe_text
from deployopt.sources.tokenizer_files import open_tokenizer

_SHOWN: Final = 80


class CaptionIds:
    """One model's tokenizer, opened once for many captions."""

    def __init__(self, folder: Path, inputs: TextInputs) -> None:
        self._most = inputs.max_length
        self._tokenizer = open_tokenizer(folder / inputs.tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def of(self, text: str, where: str) -> tuple[int, ...]:
        """The ids; `where` is file and line.

        Raises:
            UsageError: a caption that is too long, or that has no tokens.
        """
        try:
            ids = tuple(self._tokenizer.encode(text).ids)
        except Exception as error:  # tokenizers raises the bare class
            raise UsageError(f"{where}: no tokens: {error}.") from error
        if len(ids) > self._most:
            raise UsageError(
                f"{where}: the caption {safe_text(text, _SHOWN)!r} has {len(ids)} tokens, and the "
                f"model's text tower reads {self._most} at most. Shorten it, or leave it out."
            )
        return ids
