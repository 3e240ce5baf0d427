"""How likely a language model as it came takes each choice of a question: torch, float32.

In: an open model, questions as token ids. Out: a log-likelihood a choice (nats, summed over its
tokens). The question is read once; its choices go on from there side by side, padded at the end,
which no token before sees.
"""

from typing import Final

import torch
from torch.nn.functional import cross_entropy
from transformers import DynamicCache, PreTrainedModel

from deployopt.core.choices import ChoiceQuestion

_POSITIONS: Final = 256
"""Whose logits are in memory at once, of all choices together."""
_PIECE: Final = 512
"""Of a question, read at once."""
_PADDING: Final = 0
_LEFT_OUT: Final = -100


def choice_likelihoods(model: PreTrainedModel, question: ChoiceQuestion) -> tuple[float, ...]:
    """One a choice, of the sum in float64."""
    cache = DynamicCache(config=model.config)
    first = _read(model, cache, question.prompt)
    count, longest = len(question.choices), max(map(len, question.choices))
    wanted = torch.full((count, longest), _LEFT_OUT)
    for row, choice in enumerate(question.choices):
        wanted[row, : len(choice)] = torch.tensor(choice)
    wanted = wanted.to(model.device)
    total = -_nats(first.expand(count, 1, -1), wanted[:, :1])
    if longest > 1:
        given = wanted.masked_fill(wanted == _LEFT_OUT, _PADDING)
        cache.batch_repeat_interleave(count)
        step = max(1, _POSITIONS // count)
        for start in range(0, longest - 1, step):
            end = min(start + step, longest - 1)
            logits = _logits(model, cache, given[:, start:end])
            total -= _nats(logits, wanted[:, start + 1 : end + 1])
    return tuple(total.tolist())


def _read(model: PreTrainedModel, cache: DynamicCache, prompt: tuple[int, ...]) -> torch.Tensor:
    """The logits after the prompt, `[1, 1, vocabulary]`."""
    ids = torch.tensor([prompt], device=model.device)
    last = torch.empty(0)
    for start in range(0, ids.shape[1], _PIECE):
        last = _logits(model, cache, ids[:, start : start + _PIECE], last=True)
    return last


def _logits(
    model: PreTrainedModel, cache: DynamicCache, ids: torch.Tensor, *, last: bool = False
) -> torch.Tensor:
    given = model(
        input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1 if last else 0
    )
    logits: torch.Tensor = given.logits.float()
    return logits


def _nats(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Float64 `[choices]`, summed over their positions; padding counts nothing."""
    flat = cross_entropy(
        logits.flatten(0, 1), wanted.flatten(), reduction="none", ignore_index=_LEFT_OUT
    )
    return flat.double().view(wanted.shape).sum(dim=1)
