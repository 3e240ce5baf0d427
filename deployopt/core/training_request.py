"""What is asked of `finetune`, read and complete; None stands for what is advised."""

from pathlib import Path

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.memory import Method, Optimizer
from deployopt.core.target import Target


class FinetuneRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One fine-tuning run."""

    model: str
    data: str
    output: Path
    evaluation_data: str | None = None
    columns: dict[str, str] = {}
    target: Target | None = None
    """Where the memory has to fit; None: this machine."""
    method: Method | None = None
    optimizer: Optimizer = Optimizer.ADAMW
    precision: Precision | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    warmup_share: float | None = None
    batch: int | None = None
    accumulation: int | None = None
    length: int | None = None
    rank: int | None = None
    trained_share: float | None = None
    unfreeze_every: int = 0
    patience: int = 2
    averaged: bool = False
    class_weights: bool = False
    augment: bool = False
    checkpointing: bool | None = None
    seed: int = 0
    time_limit_s: float | None = None
    resume: bool = False
    store: Path | None = None
