"""What a language model as it came says of documents and prompts: torch, float32, little at a time.

In: a folder in Hugging Face form, documents and prompts as token ids. Out: the negative
log-likelihood of each document (nats, summed over its tokens but the first), and the greedy answer
to each prompt. Logits are worked out for a part of a document at a time, so that memory does not
grow with the vocabulary times the length.
"""

from collections.abc import Callable, Sequence
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
from deployopt.core.worked import Worked
from deployopt.modeling.language.choosing import choice_likelihoods
from deployopt.modeling.loading import load_model
from deployopt.modeling.reference_card import Place, worked_out
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
    worked: Worked | None = None,
) -> Scored:
    """NLL of every document, and greedy answers of up to `answer` tokens, an end token included.

    Of every question the log-likelihoods of its choices.

    Raises:
        RefusedInputError: the folder may not be opened.
        StepError: it does not load, or gives numbers that are not finite.
    """
    model = load_model(folder, Task.TEXT_GENERATION)
    total = len(documents) + len(prompts) + len(questions)

    def work(place: Place) -> Scored:
        scorer = _Scorer(model, place.device)
        nll: list[float] = []
        answers: dict[int, tuple[int, ...]] = {}
        choices: list[tuple[float, ...]] = []

        def tell(done: int, what: str) -> None:
            progress((len(nll) + len(answers) + len(choices)) / total, f"reference: {done} {what}")

        def ask(rows: list[int]) -> None:
            found = scorer.answers([prompts[at] for at in rows], answer)
            answers.update(zip(rows, found, strict=True))
            tell(len(answers), f"of {len(prompts)} answers")

        with torch_threads(threads), torch.inference_mode():
            for document in documents:
                nll.append(scorer.nll(document))
                tell(len(nll), f"of {len(documents)} documents")
            place.ask(range(len(prompts)), lambda *rows: _alike(prompts, *rows), _TOGETHER, ask)
            for question in questions:
                choices.append(choice_likelihoods(model, question))
                tell(len(choices), f"of {len(questions)} questions")
        return Scored(
            nll=tuple(nll),
            counts=tuple(document[IDS].shape[1] - 1 for document in documents),
            chosen=tuple(answers[row] for row in range(len(prompts))),
            choices=tuple(choices),
        )

    found = worked_out(model, work, worked)
    if not all(map(_finite, (*found.nll, *(one for some in found.choices for one in some)))):
        raise StepError(f"The model in {folder} gives numbers that are not finite.")
    return found


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")  # noqa: PLR0124 -- NaN differs from itself


class _Scorer:
    """An open model and the tokens that end its answers."""

    def __init__(self, model: PreTrainedModel, device: torch.device) -> None:
        self._model = model
        self._device = device
        self._ends = _end_tokens(model)

    def nll(self, document: Feed) -> float:
        """The sum over the document's tokens but the first, in float64."""
        ids = torch.from_numpy(document[IDS]).to(self._device)
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
        together = np.concatenate([prompt[IDS] for prompt in prompts])
        ids = torch.from_numpy(together).to(self._device)
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


def _alike(prompts: Sequence[Feed], rows: Sequence[int], most: int) -> list[list[int]]:
    """Rows of one length, up to `most` answered together: the weights are read once for all."""
    by_length: dict[int, list[int]] = {}
    for row in rows:
        by_length.setdefault(prompts[row][IDS].shape[1], []).append(row)
    return [
        alike[start : start + most]
        for _, alike in sorted(by_length.items())
        for start in range(0, len(alike), most)
    ]


def _end_tokens(model: PreTrainedModel) -> frozenset[int]:
    given = model.generation_config.eos_token_id if model.generation_config else None
    if given is None:
        given = model.config.eos_token_id
    listed = given if isinstance(given, list) else [given]
    return frozenset(token for token in listed if isinstance(token, int))
