"""What a language model as it came says of documents and prompts: torch, float32, little at a time.

In: a folder in Hugging Face form, documents and prompts as token ids. Out: the negative
log-likelihood of each document (nats, summed over its tokens but the first), and the greedy answer
to each prompt. Logits are worked out for a part of a document at a time, so that memory does not
grow with the vocabulary times the length.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import DynamicCache, PreTrainedModel

from deployopt.core.choices import ChoiceQuestion
from deployopt.core.errors import StepError
from deployopt.core.interface import Task
from deployopt.core.samples import Feed
from deployopt.core.scores import Scored
from deployopt.modeling.language.choosing import choice_likelihoods
from deployopt.modeling.loading import load_model
from deployopt.modeling.threads import torch_threads

IDS: Final = "input_ids"
ANSWER_TOKENS: Final = 64
_PART: Final = 128
"""Positions whose logits are in memory at once."""
_TOGETHER: Final = 8


def _silent(done: float, what: str) -> None:
    """No one is watching."""


def score(  # noqa: PLR0913 -- all that is asked of one loaded model
    folder: Path,
    documents: Sequence[Feed],
    prompts: Sequence[Feed],
    *,
    questions: Sequence[ChoiceQuestion] = (),
    threads: int = 1,
    answer: int = ANSWER_TOKENS,
    progress: Callable[[float, str], None] = _silent,
) -> Scored:
    """NLL of every document, and greedy answers of up to `answer` tokens, an end token included.

    Of every question the log-likelihoods of its choices.

    Raises:
        RefusedInputError: the folder may not be opened.
        StepError: it does not load, or gives numbers that are not finite.
    """
    with torch_threads(threads), torch.inference_mode():
        model = load_model(folder, Task.TEXT_GENERATION)
        scorer = _Scorer(model)
        total = len(documents) + len(prompts) + len(questions)
        nll = []
        for at, document in enumerate(documents):
            nll.append(scorer.nll(document))
            progress((at + 1) / total, f"reference: {at + 1} of {len(documents)} documents")
        answers: list[tuple[int, ...]] = [()] * len(prompts)
        done = 0
        for rows in _alike(prompts):
            for row, found in zip(
                rows, scorer.answers([prompts[at] for at in rows], answer), strict=True
            ):
                answers[row] = found
            done += len(rows)
            share = (len(documents) + done) / total
            progress(share, f"reference: {done} of {len(prompts)} answers")
        choices = []
        for at, question in enumerate(questions):
            choices.append(choice_likelihoods(model, question))
            share = (total - len(questions) + at + 1) / total
            progress(share, f"reference: {at + 1} of {len(questions)} questions")
    if not all(map(_finite, (*nll, *(one for some in choices for one in some)))):
        raise StepError(f"The model in {folder} gives numbers that are not finite.")
    return Scored(
        nll=tuple(nll),
        counts=tuple(document[IDS].shape[1] - 1 for document in documents),
        chosen=tuple(answers),
        choices=tuple(choices),
    )


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")  # noqa: PLR0124 -- NaN differs from itself


class _Scorer:
    """An open model and the tokens that end its answers."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._ends = _end_tokens(model)

    def nll(self, document: Feed) -> float:
        """The sum over the document's tokens but the first, in float64."""
        ids = torch.from_numpy(document[IDS])
        cache = DynamicCache(config=self._model.config)
        total = 0.0
        length = ids.shape[1]
        for start in range(0, length - 1, _PART):
            end = min(start + _PART, length - 1)
            logits = self._logits(ids[:, start:end], cache)[0]
            wanted = ids[0, start + 1 : end + 1]
            total += float(cross_entropy(logits, wanted, reduction="none").double().sum())
        return total

    def answers(self, prompts: Sequence[Feed], most: int) -> list[tuple[int, ...]]:
        """The likeliest token after each prompt, again and again; prompts of one length."""
        cache = DynamicCache(config=self._model.config)
        ids = torch.from_numpy(np.concatenate([prompt[IDS] for prompt in prompts]))
        found: list[list[int]] = [[] for _ in prompts]
        for _ in range(most):
            tokens = self._logits(ids, cache, last=True)[:, -1].argmax(-1)
            for answer, token in zip(found, tokens.tolist(), strict=True):
                if not self._ended(answer):
                    answer.append(token)
            if all(map(self._ended, found)):
                break
            ids = tokens[:, None]
        return [tuple(answer) for answer in found]

    def _ended(self, answer: list[int]) -> bool:
        return bool(answer) and answer[-1] in self._ends

    def _logits(
        self, ids: torch.Tensor, cache: DynamicCache, *, last: bool = False
    ) -> torch.Tensor:
        """`[1, length, vocabulary]` float32 of all positions, or of the last one."""
        given = self._model(
            input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1 if last else 0
        )
        logits: torch.Tensor = given.logits.float()
        return logits


def _alike(prompts: Sequence[Feed]) -> Iterator[list[int]]:
    """Rows of one length, so many that are answered together: the weights are read once for all."""
    by_length: dict[int, list[int]] = {}
    for row, prompt in enumerate(prompts):
        by_length.setdefault(prompt[IDS].shape[1], []).append(row)
    for rows in by_length.values():
        for start in range(0, len(rows), _TOGETHER):
            yield rows[start : start + _TOGETHER]


def _end_tokens(model: PreTrainedModel) -> frozenset[int]:
    given = model.generation_config.eos_token_id if model.generation_config else None
    if given is None:
        given = model.config.eos_token_id
    listed = given if isinstance(given, list) else [given]
    return frozenset(token for token in listed if isinstance(token, int))
