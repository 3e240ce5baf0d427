"""How likely a language model takes each choice of a question, the question being read once.

In: a decoder, questions as token ids. Out: a log-likelihood a choice (nats, summed over tokens).
The question goes in first and each choice after it, in these two parts always: where products are
quantized by what goes in together, other parts give other numbers. Between choices the context is
taken back to the question's end, if that was seen to give the very same numbers as reading it anew.
"""

from collections.abc import Callable, Sequence

import numpy as np

from deployopt.core.choices import ChoiceQuestion
from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.samples import Array
from deployopt.device.generating.decoder import Decoder, Generation
from deployopt.device.generating.scoring import negative_log_likelihood


def _unheard() -> None:
    """Nobody waits."""


class Chooser:
    """Scores choices; tries with the longest question whether a context can be taken back."""

    def __init__(
        self,
        decoder: Decoder,
        questions: Sequence[ChoiceQuestion],
        scored: Callable[[], None] = _unheard,
    ) -> None:
        """`scored` hears of every choice, as a sign of life; raises as `likelihoods` does."""
        self._decoder = decoder
        self._scored = scored
        telling = [one for one in questions if sum(len(x) > 1 for x in one.choices) > 1]
        self.shares = bool(telling) and self._same(max(telling, key=_context))
        """Whether the choices of a question share its context."""

    def likelihoods(self, question: ChoiceQuestion) -> tuple[float, ...]:
        """One a choice; not finite where a logit is not.

        Raises:
            UsageError: a token is none of the model's, or the question is longer than it takes.
            DeviceError: the runtime fails.
        """
        self._check(question)
        return self._together(question) if self.shares else self._apart(question)

    def _check(self, question: ChoiceQuestion) -> None:
        limit = self._decoder.config.model.context_length
        longest = _context(question)
        if longest > limit:
            raise UsageError(
                f"A question of {longest} tokens, its longest choice included, is longer than the "
                f"model takes, which is {limit}."
            )

    def _same(self, question: ChoiceQuestion) -> bool:
        """Whether the shared context gives the same numbers to the last bit."""
        self._check(question)
        plain = self._apart(question)
        try:
            return self._together(question) == plain
        except DeviceError:  # a cache that cannot be taken back; reading anew always works
            return False

    def _apart(self, question: ChoiceQuestion) -> tuple[float, ...]:
        """Each choice in a context of its own."""
        found = []
        for choice in question.choices:
            generation = self._decoder.begin(_context(question))
            row = _read(generation, question.prompt)
            found.append(_likelihood(generation, row, choice))
            self._scored()
        return tuple(found)

    def _together(self, question: ChoiceQuestion) -> tuple[float, ...]:
        """All in one context."""
        generation = self._decoder.begin(_context(question))
        row = _read(generation, question.prompt)
        found = []
        for choice in question.choices:
            if generation.count != len(question.prompt):
                generation.rewind(len(question.prompt))
            found.append(_likelihood(generation, row, choice))
            self._scored()
        return tuple(found)


def _context(question: ChoiceQuestion) -> int:
    return len(question.prompt) + max(map(len, question.choices))


def _read(generation: Generation, prompt: tuple[int, ...]) -> Array:
    """Take the question; the logits after its last token, `[1, vocabulary]`."""
    last = np.empty((0, 0), dtype=np.float32)
    for rows in generation.rows(prompt):
        last = rows[-1:].copy()
    return last


def _likelihood(generation: Generation, row: Array, choice: tuple[int, ...]) -> float:
    """Of a choice after the question; `row` has the logits of its first token."""
    wanted = np.asarray(choice, dtype=np.int64)
    vocabulary = row.shape[1]
    if wanted.min() < 0 or wanted.max() >= vocabulary:
        raise UsageError(
            f"A choice is one or more token ids from 0 to {vocabulary - 1}; this one is not. The "
            "questions were read with another model's tokenizer."
        )
    total, start = negative_log_likelihood(row, wanted[:1]), 1
    if wanted.size > 1:
        for rows in generation.rows(wanted[:-1]):
            total += negative_log_likelihood(rows, wanted[start : start + len(rows)])
            start += len(rows)
    return -total
