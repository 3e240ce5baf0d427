"""A model and its data as they came: local files, what they are, and where they are from."""

from pathlib import Path

import msgspec

from deployopt.core.artifact import Artifact
from deployopt.core.bundle import Origin
from deployopt.core.interface import Interface
from deployopt.core.measurement import Split


class DeclaredAccuracy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the model's maker says of it: share right (of one) on `examples` of `data`."""

    accuracy: float
    examples: int
    data: str


class SourceModel(msgspec.Struct, frozen=True, kw_only=True):
    """The reference: a model as it came, in local files, nothing of it run yet.

    `default_data` names the evaluation data that comes with it (as `--data` would), or is None.
    """

    name: str
    artifact: Artifact
    interface: Interface
    origin: Origin
    declared: DeclaredAccuracy | None = None
    default_data: str | None = None


class SplitFile(msgspec.Struct, frozen=True, kw_only=True):
    """One split as a file of examples (core/examples.py)."""

    split: Split
    path: Path
    digest: str
    examples: int


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """Three disjoint splits; `labelled` says whether right and wrong can be told."""

    name: str
    labelled: bool
    splits: dict[Split, SplitFile]
    origin: Origin
    synthetic: bool = False
    """Whether the inputs were made up, for want of data."""
    notes: tuple[str, ...] = ()
