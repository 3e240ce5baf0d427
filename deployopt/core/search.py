"""What a search for the fastest artifact was asked, tried and found: records, in base units.

Shapes are timed before they are trained, as latency does not depend on weights; trainings climb
rungs, each longer than the one before; layers are ranked by what quantizing them costs.
"""

from enum import StrEnum

import msgspec

from deployopt.core.evidence import Evidence
from deployopt.core.paired import LossBounds


class Effort(StrEnum):
    """How much is tried: `quick` trains nothing."""

    QUICK = "quick"
    DEFAULT = "default"
    EXTENSIVE = "extensive"


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of a model: layers by number (none: all), shares of neurons, heads, channels."""

    layers: tuple[int, ...] = ()
    ffn: float = 1.0
    heads: float = 1.0
    channels: float = 1.0

    @property
    def whole(self) -> bool:
        """Whether nothing is cut."""
        return self == Profile()

    @property
    def words(self) -> str:
        """As reports name it, e.g. `4 layers, ffn 50 %`."""
        count = len(self.layers)
        parts = [f"{count} layer{'' if count == 1 else 's'}"] if count else []
        shares = (("ffn", self.ffn), ("heads", self.heads), ("channels", self.channels))
        parts += [f"{name} {100 * share:.0f} %" for name, share in shares if share != 1]
        return ", ".join(parts) or "whole"


class TimedShape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A shape that was timed with weights of no use, before any training.

    `ratio` is its time over the float model's as it came, from interleaved rounds of `rounds`
    fresh processes; bounds are one-sided at 95 % and None where too few rounds count.
    """

    profile: Profile
    form: str
    """The form it was timed in, e.g. `int8`."""
    ratio: float
    lower: float | None = None
    upper: float | None = None
    median_s: float
    tail_s: float
    """At the budget's quantile, in seconds, on this machine."""
    rounds: int
    evidence: Evidence
    predicted_s: float | None = None
    """The least that the prediction for the target allows at that quantile, in seconds; None where
    this machine is the target, or nothing is known."""
    macs: float | None = None
    """Multiply-adds of a request."""
    verdict: str = ""
    """What became of it, e.g. `trained`, `over the latency budget`, `slower than it must be`."""


class TrainedShape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A shape after a rung of training, judged on the search split in the form that would ship."""

    recipe: str
    profile: Profile
    rung: int
    epochs: int
    """In all rungs so far."""
    seconds: float
    agreement: float | None = None
    """With the teacher, on the validation split, as a share."""
    loss: LossBounds | None = None
    """Of accuracy against the model as it came, on the search split."""
    examples: int = 0
    promoted: bool = False
    failure: str | None = None


class LayerError(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What quantizing one node alone does to the answers on the search split.

    `error` is the mean divergence (KL, nats) of the classes' shares from the float model's, or for
    other outputs the mean squared difference over the mean square; `changed` the share of examples
    with another class.
    """

    name: str
    operator: str
    weights: int
    error: float
    changed: float
    kept_float: bool = False
    """Whether the artifact that was chosen keeps it in float."""


class SearchResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that was tried before the candidates that were measured in full."""

    effort: Effort
    time_limit_s: float | None = None
    spent_s: float
    """Of searching, in this call and the ones that it goes on from."""
    resumed: bool = False
    log: str
    """The JSONL file that the same call goes on from."""
    teacher: str = ""
    train_data: str = ""
    """What students learned from; empty where nothing was trained."""
    train_examples: int = 0
    unlabelled_examples: int = 0
    shapes: tuple[TimedShape, ...] = ()
    trainings: tuple[TrainedShape, ...] = ()
    layers: tuple[LayerError, ...] = ()
    """Most sensitive first."""
    front: tuple[str, ...] = ()
    """Recipes that no other one beats in both latency and loss, fastest first."""
    why: str = ""
    """Why the winner won, in a sentence."""
    nearest_miss: str | None = None
    """Where every candidate is out of budget: which came nearest, and by how much it missed."""
    relax: tuple[str, ...] = ()
    """Then: what would have to give, a sentence each."""
    notes: tuple[str, ...] = ()
