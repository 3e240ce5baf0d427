"""What a language model learns: the tokens that are marked, each from all before it.

The loss is a mean over the marked tokens of an update, so that a long answer counts for more than a
short one, and in which batch they come does not matter. Scores over the vocabulary are worked out
only at positions whose next token counts in some row.
"""

import inspect
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import EvalPrediction, PreTrainedModel

from deployopt.core.dialogues import Sample
from deployopt.modeling.training.job import Words

IGNORED: Final = -100
_KEEP: Final = "logits_to_keep"


class Samples(Dataset[Sample]):  # type: ignore[misc] # torch is not followed
    """Samples by position."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, at: int) -> Sample:
        return self.samples[at]


class Continuing:
    """Samples of tokens; `model` is the plain one, whose kind decides what it can leave out."""

    by_token = True

    def __init__(self, words: Words, model: PreTrainedModel) -> None:
        self.train = Samples(words.train)
        self.validation = Samples(words.validation)
        self._keeps = _KEEP in inspect.signature(type(model).forward).parameters

    def together(self, rows: Sequence[Sample]) -> dict[str, Tensor]:
        """Rows padded at their ends: `input_ids`, `attention_mask`, `labels`."""
        longest = max(len(row.ids) for row in rows)
        ids = torch.zeros((len(rows), longest), dtype=torch.int64)
        mask = torch.zeros_like(ids)
        labels = torch.full_like(ids, IGNORED)
        for at, row in enumerate(rows):
            own = torch.tensor(row.ids, dtype=torch.int64)
            learnt = torch.tensor(row.learnt)
            ids[at, : len(own)] = own
            mask[at, : len(own)] = 1
            labels[at, : len(own)][learnt] = own[learnt]
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    def loss(
        self, model: nn.Module, inputs: dict[str, Tensor], tokens: Tensor | int | None
    ) -> tuple[Tensor, Any]:
        """The mean over `tokens`, and each row's sum with the number of its tokens."""
        sums, counts = self.sums(model, inputs)
        total = counts.sum() if tokens is None else tokens
        return sums.sum() / total, {"sums": torch.stack([sums, counts], dim=1)}

    def sums(self, model: nn.Module, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Negative log-likelihood of each row's marked tokens, and how many there are."""
        wanted = inputs["labels"][:, 1:]
        at = (wanted != IGNORED).any(0).nonzero().flatten()
        kept = {_KEEP: at} if self._keeps else {}
        outputs = model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            use_cache=False,
            **kept,
        )
        logits = (outputs.logits if self._keeps else outputs.logits[:, at]).float()
        wanted = wanted[:, at]
        nll = nn.functional.cross_entropy(
            logits.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, reduction="none"
        ).view(wanted.shape)
        return nll.sum(1), (wanted != IGNORED).sum(1).to(nll.dtype)

    def figures(self, found: EvalPrediction) -> dict[str, float]:
        """Nats a token, over all of them."""
        sums = found.predictions[0] if isinstance(found.predictions, tuple) else found.predictions
        return {"nll": float(sums[:, 0].sum() / sums[:, 1].sum())}
