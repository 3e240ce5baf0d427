"""How a model is fine-tuned: every number that decides the outcome, settled and checked."""

from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.errors import UsageError
from deployopt.core.memory import Method, Optimizer

_RANGES: Final[dict[str, tuple[float, float]]] = {
    "epochs": (1, 10_000),
    "batch": (1, 65_536),
    "accumulation": (1, 65_536),
    "length": (1, 131_072),
    "rank": (1, 4_096),
    "unfreeze_every": (0, 10_000),
    "patience": (0, 10_000),
    "seed": (0, 2**32 - 1),
}


PREFIX_TYPES: Final = ("bert", "camembert", "electra", "roberta", "xlm-roberta")
"""The encoders whose attention takes keys from outside."""


class TrainingOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same options, data and base give the same weights on one machine."""

    method: Method
    optimizer: Optimizer = Optimizer.ADAMW
    precision: Precision = Precision.FP32
    """Of the arithmetic: fp32, or bf16 with fp32 weights."""
    epochs: int = 3
    learning_rate: float = 5e-5
    """The highest, reached after the warm-up; from there it falls in a line to zero."""
    warmup_share: float = 0.1
    batch: int = 32
    """Examples a device and forward pass."""
    accumulation: int = 1
    """Passes an update."""
    length: int = 128
    """Tokens of a text at most."""
    rank: int = 16
    """Of LoRA; of a prefix the tokens."""
    trained_share: float = 0.5
    """With `freeze`: the share of the layers, from the top, that is trained."""
    unfreeze_every: int = 0
    """Epochs after which more is trained: the head, the upper layers, all; 0: all at once."""
    patience: int = 2
    """Evaluations without a gain after which training stops; 0: never."""
    averaged: bool = False
    """Weights are the moving average over about the last tenth of the run."""
    class_weights: bool = False
    """Rare classes count as much as common ones."""
    augment: bool = False
    """Words dropped and swapped; images flipped and cropped at random."""
    checkpointing: bool = False
    """Activations are worked out again for the backward pass rather than kept."""
    seed: int = 0

    def check(self) -> None:
        """Raise UsageError, naming the option, where one cannot be meant."""
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:
                option = name.replace("_", "-")
                raise UsageError(f"--{option} is {value}; {least:g} to {most:g} can be.")
        if not 0 < self.learning_rate < 1:
            raise UsageError(f"--learning-rate is {self.learning_rate:g}; give e.g. 5e-5.")
        if not 0 <= self.warmup_share < 1:
            raise UsageError(f"--warmup is {self.warmup_share:g}, a share of the steps below 1.")
        if not 0 < self.trained_share <= 1:
            raise UsageError(
                f"--trained-share is {self.trained_share:g}, a share of the layers above 0."
            )
        self._check_stages()
        if self.precision not in {Precision.FP32, Precision.BF16}:
            raise UsageError(f"--precision {self.precision} is not trained in; give fp32 or bf16.")

    def check_for_language(self) -> None:
        """Raise UsageError where an option is of classifiers alone."""
        given = {
            "--class-weights": self.class_weights,
            "--augment": self.augment,
            "--unfreeze-every": self.unfreeze_every > 0,
        }
        wrong = [name for name, asked in given.items() if asked]
        if wrong:
            raise UsageError(
                f"{wrong[0]} is of classifiers: a language model has neither classes nor a new "
                "head. Leave it out."
            )

    def _check_stages(self) -> None:
        if not self.unfreeze_every:
            return
        stages = {Method.FULL: 3, Method.FREEZE: 2}.get(self.method)
        if stages is None:
            raise UsageError(
                f"--unfreeze-every is of --method full and freeze: with {self.method} the base's "
                "weights are never trained."
            )
        least = (stages - 1) * self.unfreeze_every + 1
        if self.epochs < least:
            raise UsageError(
                f"--unfreeze-every {self.unfreeze_every} leaves no epoch of {self.epochs} in which "
                f"everything is trained. Give --epochs {least} or more."
            )


class LossPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mean training loss since the point before, and the learning rate at this step."""

    step: int
    epoch: float
    loss: float
    learning_rate: float


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The validation split after so many epochs; `best` where these weights were kept so far."""

    step: int
    epoch: float
    loss: float
    """Of a language model in nats a token."""
    accuracy: float | None = None
    """Of a classifier."""
    best: bool
