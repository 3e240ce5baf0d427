"""The confined process that opens a stranger's `tokenizer.json`, and cuts trying texts with it.

In: its path, or the files to make one from. Out: its words with their numbers, or its text. The
library is native code that panics, and its patterns can be made to take for ever on texts of one
letter, so both are tried here first.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.confinement.child import main_if
from deployopt.core.errors import UsageError
from deployopt.sources.tokenizer_files import Making, Opening, open_tokenizer
from deployopt.sources.tokenizer_making import make_tokenizer

_TEXTS: Final = (
    "",
    " ",
    "A warm, funny film; 3 of 4 stars!",
    "a" * 2_000,
    " \t\n" * 500,
    "aB1- " * 400,
    "naïve café 汉字 ŕ́ 👩‍👩‍👧 \u202eabc\u0000\ufffd",
)
"""What a pattern trips over: repetition, blanks, other scripts, marks, nothing at all."""
_LENGTH: Final = 512


def answer(question: bytes) -> bytes:
    """Open one file, or make it."""
    asked = msgspec.json.decode(question, type=Opening | Making)
    if isinstance(asked, Making):
        return make_tokenizer(Path(asked.folder), asked.source, asked.options).encode()
    return msgspec.json.encode(_words(Path(asked.path)))


def _words(path: Path) -> dict[str, int]:
    opened = open_tokenizer(path)
    words: dict[str, int] = opened.get_vocab(with_added_tokens=True)
    opened.no_padding()
    opened.enable_truncation(max_length=_LENGTH)
    try:
        opened.encode_batch(list(_TEXTS))
    except Exception as error:  # tokenizers raises the bare class
        raise UsageError(f"{path} is a tokenizer that fails on a text: {error}.") from error
    return words


main_if(__name__, answer)
