"""What will be tried, and what is expected of it, before anything is built."""

import msgspec

from deployopt.core.budget import Budget
from deployopt.core.evidence import Estimate
from deployopt.core.target import Target


class Operation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One operator of a model for one request of the workload.

    `kind` is one of gemm, conv1x1, conv3x3, conv, depthwise, elementwise. `macs` are multiply-adds,
    `weights` parameters read, `activations` elements read and written.
    """

    kind: str
    macs: float
    weights: float
    activations: float
    count: int = 1


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model as arithmetic sees it; `length` is the tokens a request that were counted for."""

    parameters: int
    embedding_parameters: int = 0
    weight_bytes: int
    operations: tuple[Operation, ...]
    peak_activation_bytes: int
    cpu_bytes: int = 0
    """As Architecture.cpu_bytes."""
    score_elements: int = 0
    """As Architecture.score_elements."""
    length: int | None = None
    basis: str


class Forecast(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One recipe before it is run: metric name to estimate."""

    recipe: str
    reason: str
    estimates: dict[str, Estimate]
    hopeless: str | None = None
    """Why it cannot meet the budgets: the lower end of a band is over its limit."""


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether it fits, what is tried, what data can prove. Nothing is built yet.

    Forecasts stand in the order of their hope: fastest first, hopeless ones last.
    """

    target: Target
    model: str
    budgets: tuple[Budget, ...]
    fits: bool
    fit_reason: str
    forecasts: tuple[Forecast, ...]
    gate_examples: int | None
    gate_examples_needed: int | None
    build_s: Estimate | None = None
    """Wall seconds that `build` would take on this machine; None where it would not start."""
    warnings: tuple[str, ...] = ()
