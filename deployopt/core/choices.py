"""Questions with choices as token ids, and the one rule by which a model's choice is found.

A choice is scored as if the model went on with it: the sum of its tokens' log-likelihoods after the
question, divided by the choice's bytes in UTF-8, so that a long choice is not at a disadvantage,
nor one that the tokenizer cuts into many pieces. The highest is the model's choice; of equal ones
the first. lm-evaluation-harness calls this rule `acc_bytes`; its `acc_norm` divides by characters,
which is the same where all choices are ASCII.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from deployopt.core.errors import RefusedInputError
from deployopt.core.samples import Array, Feed, decode_samples, encode_samples

CHOICES_MIN: Final = 2
_NAMES: Final = ("tokens", "prompts", "counts", "lengths", "bytes", "answers")


class ChoiceQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """`choices` are what is added to `prompt`, each one token or more; `answer` is an index."""

    prompt: tuple[int, ...]
    choices: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]
    """Bytes of each choice's text."""
    answer: int

    @property
    def tokens(self) -> int:
        """All that goes through a model that reads the question once."""
        return len(self.prompt) + sum(map(len, self.choices))


class QuestionScore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Three indices of so many choices: the right one, the reference's and the candidate's.

    The candidate's is None where its likelihoods are not finite.
    """

    choices: int
    answer: int
    reference: int
    candidate: int | None


def choice_of(likelihoods: Sequence[float], question: ChoiceQuestion) -> int | None:
    """The model's choice, of one log-likelihood a choice; None where one is not finite."""
    if not all(map(math.isfinite, likelihoods)):
        return None
    rates = [one / size for one, size in zip(likelihoods, question.sizes, strict=True)]
    return rates.index(max(rates))


def encode_questions(questions: Sequence[ChoiceQuestion]) -> bytes:
    """As one feed of flat arrays; the same questions give the same bytes."""
    return encode_samples(
        [
            {
                name: np.asarray(values, dtype=np.int64)
                for name, values in zip(_NAMES, _flat(questions), strict=True)
            }
        ]
    )


def _flat(questions: Sequence[ChoiceQuestion]) -> tuple[list[int], ...]:
    tokens: list[int] = []
    for one in questions:
        tokens += one.prompt
        for choice in one.choices:
            tokens += choice
    return (
        tokens,
        [len(one.prompt) for one in questions],
        [len(one.choices) for one in questions],
        [len(choice) for one in questions for choice in one.choices],
        [size for one in questions for size in one.sizes],
        [one.answer for one in questions],
    )


def decode_questions(path: Path) -> tuple[ChoiceQuestion, ...]:
    """Read what `encode_questions` wrote.

    Raises:
        RefusedInputError: not such a file, or its parts do not fit together.
    """
    found = decode_samples(path)
    if len(found) != 1 or set(found[0]) != set(_NAMES):
        raise RefusedInputError(f"{path} is not a file of questions.")
    if not _sound(found[0]):
        raise RefusedInputError(f"{path} is not a file of questions: its parts do not fit.")
    return tuple(_read(found[0]))


def _sound(feed: Feed) -> bool:
    """Whether every part is there, and every answer is one of its question's choices."""
    arrays = [feed[name] for name in _NAMES]
    if any(array.ndim != 1 or array.dtype != np.int64 for array in arrays):
        return False
    tokens, prompts, counts, lengths, sizes, answers = arrays
    if not (len(prompts) == len(counts) == len(answers) and len(lengths) == len(sizes)):
        return False
    least = (int(part.min(initial=1)) for part in (prompts, lengths, sizes))
    return bool(
        min(least) >= 1
        and counts.min(initial=CHOICES_MIN) >= CHOICES_MIN
        and int(counts.sum()) == len(lengths)
        and int(prompts.sum() + lengths.sum()) == len(tokens)
        and (answers >= 0).all()
        and (answers < counts).all()
    )


def _read(feed: Feed) -> Iterator[ChoiceQuestion]:
    tokens, prompts, counts, lengths, sizes, answers = (feed[name].tolist() for name in _NAMES)
    token = choice = 0
    for prompt, count, answer in zip(prompts, counts, answers, strict=True):
        asked = tuple(tokens[token : token + prompt])
        token += prompt
        choices = []
        for length in lengths[choice : choice + count]:
            choices.append(tuple(tokens[token : token + length]))
            token += length
        yield ChoiceQuestion(
            prompt=asked,
            choices=tuple(choices),
            sizes=tuple(sizes[choice : choice + count]),
            answer=answer,
        )
        choice += count


def flat_likelihoods(likelihoods: Sequence[Sequence[float]]) -> dict[str, Array]:
    """One log-likelihood a choice, question by question, as arrays of a feed."""
    return {
        "choices": np.asarray([x for one in likelihoods for x in one], dtype=np.float64),
        "choice_counts": np.asarray([len(one) for one in likelihoods], dtype=np.int64),
    }


def read_likelihoods(feed: Feed) -> tuple[tuple[float, ...], ...]:
    """What `flat_likelihoods` wrote; empty where the feed has none.

    Raises:
        ValueError: they do not fit together.
    """
    if "choices" not in feed:
        return ()
    values, counts = feed["choices"].tolist(), feed["choice_counts"].tolist()
    if sum(counts) != len(values) or min(counts, default=0) < 0:
        raise ValueError("the likelihoods of choices do not fit together")
    ends = np.cumsum(counts).tolist()
    return tuple(tuple(values[end - count : end]) for end, count in zip(ends, counts, strict=True))
