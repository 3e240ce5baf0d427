"""What a language model says of texts: the negative log-likelihood of their tokens, and choices.

In: a decoder, token ids. Out: a sum of nats a document; the greedy token at every position of a
given answer. Logits are looked at piece by piece and row by row, so that memory stays small
whatever the text's length and the vocabulary's size.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from deployopt.core.errors import UsageError
from deployopt.core.samples import Array
from deployopt.device.generating.decoder import PIECE, Decoder

_ROWS: Final = 8
"""Of logits at once: their exponentials are arrays as large."""


def document_nll(decoder: Decoder, tokens: Array) -> float:
    """Nats of every token but the first, given those before it; not finite where a logit is not.

    Raises:
        UsageError: the document has no second token, or is longer than the model takes.
        DeviceError: the runtime fails.
    """
    if tokens.size < 2:  # noqa: PLR2004 -- one to start from, one to be told
        raise UsageError("A document needs two tokens or more to be scored.")
    total = 0.0
    for start, rows in _rows(decoder, tokens[:-1]):
        wanted = tokens[start + 1 : start + 1 + len(rows)]
        total += negative_log_likelihood(rows, wanted)
    return total


def choices(decoder: Decoder, prompt: Array, answer: Sequence[int]) -> tuple[int, ...]:
    """The token that the model would choose at each position of the answer, given those before it.

    Raises:
        UsageError: prompt and answer together are longer than the model takes.
        DeviceError: the runtime fails.
    """
    if not answer:
        return ()
    text = np.concatenate([prompt, np.asarray(answer[:-1], dtype=np.int64)])
    found: list[int] = []
    first = prompt.size - 1
    for start, rows in _rows(decoder, text):
        found += [int(token) for token in rows[max(0, first - start) :].argmax(axis=1)]
    return tuple(found)


def negative_log_likelihood(rows: Array, wanted: Array) -> float:
    """Nats, the sum over rows of logits `[n, vocabulary]`, of one token a row."""
    total = 0.0
    # A logit that is no number makes the sum none, which is what whoever asked looks at.
    with np.errstate(all="ignore"):
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            some = some - some.max(axis=1, keepdims=True)
            told = np.take_along_axis(some, wanted[start : start + _ROWS, None], axis=1)[:, 0]
            sums = np.exp(some, out=some).sum(axis=1, dtype=np.float64)
            total += float((np.log(sums) - told).sum())
    return total


def fill_context(decoder: Decoder, context: int, tokens: Array) -> Iterator[float]:
    """Take `tokens` over and over until a context is full, and choose the last; shares done.

    What the process has had resident after that is what a full context takes.
    """
    generation = decoder.begin(context)
    left = context - 1
    while left > 0:
        piece = np.resize(tokens, min(PIECE, left))
        generation.take(piece)
        left -= piece.size
        yield 1 - left / context
    generation.next()


def _rows(decoder: Decoder, tokens: Array) -> Iterator[tuple[int, Array]]:
    """Where each piece starts, and its logits."""
    limit = decoder.config.model.context_length
    if tokens.size >= limit:
        raise UsageError(
            f"A text of {tokens.size + 1} tokens is longer than the model takes, which is {limit}."
        )
    start = 0
    for rows in decoder.begin(tokens.size + 1).rows(tokens):
        yield start, rows
        start += len(rows)
