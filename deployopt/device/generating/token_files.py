"""Answers as token ids in a file of samples: one entry an answer, in the order of the prompts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from deployopt.core.errors import IntegrityError
from deployopt.core.samples import decode_samples, encode_samples

Answers = tuple[tuple[int, ...], ...]
_TOKENS: Final = "tokens"


def encode_answers(answers: Sequence[Sequence[int]]) -> bytes:
    """The file's bytes."""
    return encode_samples([{_TOKENS: np.asarray(one, dtype=np.int64)} for one in answers])


def decode_answers(path: Path, count: int) -> Answers:
    """The answers to `count` prompts.

    Raises:
        IntegrityError: there are more or fewer of them.
        RefusedInputError: it is not such a file.
    """
    found = decode_samples(path)
    if len(found) != count or any(set(one) != {_TOKENS} for one in found):
        raise IntegrityError(f"{path.name} does not hold an answer for each of {count} prompts.")
    return tuple(tuple(int(token) for token in one[_TOKENS].reshape(-1)) for one in found)
