"""What a classifier learns: cross-entropy, perhaps weighted by class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import EvalPrediction

from deployopt.core.training import TrainingOptions
from deployopt.modeling.training.batches import Epoch, Row, Rows, Together
from deployopt.modeling.training.job import Labels


class Classifying:
    """Labelled examples; the loss is the mean of a batch."""

    by_token = False

    def __init__(self, labels: Labels, options: TrainingOptions, epoch: Epoch) -> None:
        seed = options.seed if options.augment else None
        self.train = Rows(labels.train, labels, epoch, seed)
        self.validation = Rows(labels.validation, labels, epoch, None)
        self._together = Together(labels.interface)
        self._weights = class_weights(labels) if options.class_weights else None

    def together(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """The model's inputs, and `labels`."""
        return self._together(rows)

    def loss(
        self, model: nn.Module, inputs: dict[str, Tensor], tokens: Tensor | int | None
    ) -> tuple[Tensor, Any]:
        """The mean over the batch, and the model's outputs."""
        del tokens
        named = {name: tensor for name, tensor in inputs.items() if name != "labels"}
        outputs = model(**named)
        weights = self._weights
        loss = nn.functional.cross_entropy(
            outputs.logits.float(),
            inputs["labels"],
            weight=None if weights is None else weights.to(outputs.logits.device),
        )
        return loss, outputs

    def figures(self, found: EvalPrediction) -> dict[str, float]:
        """The share that is right."""
        logits = found.predictions[0] if isinstance(found.predictions, tuple) else found.predictions
        return {"accuracy": float((np.argmax(logits, axis=1) == found.label_ids).mean())}


def class_weights(labels: Labels) -> Tensor:
    """All examples over classes times those of the class: every class counts the same."""
    counts = np.bincount(labels.train.classes, minlength=len(labels.interface.labels))
    weights = len(labels.train.classes) / (len(counts) * np.maximum(counts, 1))
    return torch.tensor(weights, dtype=torch.float32)
