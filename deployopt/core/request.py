"""What is asked of a command, read and complete: what the API hands to the pipeline."""

from pathlib import Path

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.budget import Budget, merge_budgets
from deployopt.core.memory import Method, Optimizer, Sharding
from deployopt.core.search import Effort
from deployopt.core.target import Target
from deployopt.core.tasks import ModelTask


class BuildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`budgets` replace the target's of the same name; None stands for the default."""

    model: str
    target: Target
    budgets: tuple[Budget, ...] = ()
    data: str | None = None
    columns: dict[str, str] = {}
    labels: Path | None = None
    """A file of those that an image-text model chooses among."""
    output: Path | None = None
    accept_predicted: bool = False
    store: Path | None = None
    seed: int = 0
    lock: Path | None = None
    effort: Effort | None = None
    """None: quick, unless there is training data or a time limit; then default."""
    train_data: str | None = None
    """What students learn from, as `data`; None: what the model brings."""
    unlabelled: Path | None = None
    time_limit_s: float | None = None
    """Of the whole build; None: as long as the effort takes."""
    baseline: Path | None = None
    """A bundle that the new one must be no worse than."""
    questions: str | None = None
    """A file of questions with choices, by which a language model's accuracy is judged."""
    unsafe_load_pickle: bool = False
    """Read weights that are pickles, in a confined process."""
    runtime: str | None = None
    """What opens the model on the target; None: what the target allows."""
    precision: Precision | None = None
    """Of a language model's forms, only those of this one; None: all that may fit."""
    share: str | None = None
    """A place by URL where steps' results are exchanged with other machines."""
    share_needed: bool = True
    """Whether a share that cannot be reached is an error, or only said."""

    @property
    def limits(self) -> tuple[Budget, ...]:
        """The target's budgets with the asked ones in their place."""
        return merge_budgets(self.target.limits, self.budgets)

    @property
    def search_options(self) -> tuple[str, ...]:
        """Those given that only a search for smaller shapes takes."""
        given = {
            "--train-data": self.train_data,
            "--unlabelled": self.unlabelled,
            "--time-limit": self.time_limit_s,
        }
        return tuple(option for option, value in given.items() if value is not None)


class ByHand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizes that a person gives in place of a config; None is worked out from the parameters."""

    parameters: int
    layers: int | None = None
    hidden: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    ffn: int | None = None
    vocabulary: int | None = None
    encoder: bool = False
    """An encoder (BERT, ViT) rather than a decoder that generates."""


class FitRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What `fit` is asked; None and empty stand for "look at all of them"."""

    model: str | None
    by_hand: ByHand | None = None
    target: Target
    training: bool = False
    precisions: tuple[Precision, ...] = ()
    batch: int = 1
    context: int | None = None
    """Tokens in all; by default 2048 or what the model allows, 128 for encoders."""
    methods: tuple[Method, ...] = ()
    optimizer: Optimizer = Optimizer.ADAMW
    checkpointing: bool | None = None
    """None: with it for models that generate, without for others."""
    sharding: Sharding | None = None
    """None: what the target's devices need."""
    lock: Path | None = None
    store: Path | None = None


class RecommendRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What `recommend` is asked."""

    task: ModelTask
    target: Target
    examples: int | None = None
    """Labelled examples for fine-tuning; None: none, the model is used as it comes."""
    realtime: bool = False
    """A person or a camera waits: 30 a second for vision, 100 ms for text, reading speed for
    generated text, unless a latency budget says otherwise."""
    budgets: tuple[Budget, ...] = ()
    length: int | None = None
    """Tokens of a request; None: the task's usual length."""
    requests_per_day: float | None = None
    commercial: bool = False
    """Leave out licences that forbid commercial use."""
    prices: Path | None = None
    """A file of prices in place of the shipped one."""
