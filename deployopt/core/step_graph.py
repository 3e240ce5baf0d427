"""Several builds as one graph of steps: who shares what, what is stored, what is to be made.

A step stands once, whoever asks for it; steps come in topological order, each after the one that
it takes its input from.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from deployopt.core.evidence import Estimate
from deployopt.core.matrix import CellName
from deployopt.core.plan import Plan

SCHEMA_VERSION: Final = 1


class StepState(StrEnum):
    """What becomes of a step."""

    STORED = "stored"
    """It is in the store and whole; it is not run."""
    SHARED = "shared"
    """The share has it, as its records tell; it is fetched, and run only where it is refused."""
    TO_MAKE = "to make"
    """It is run once, whoever asks for it."""
    UNKNOWN = "unknown"
    """The model or its data was not fetched yet, so that nobody can look it up."""


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of any number of recipes of any number of cells."""

    id: str
    """16 hex digits over everything that decides its result."""
    after: str | None = None
    """The step that it takes its input from; None: it takes the model as it came."""
    model: str
    name: str
    options: str = ""
    """Those that are not the usual ones: `reduce_range=true`."""
    state: StepState
    key: str | None = None
    """Of the store; None until what it takes its input from is there."""
    recipes: tuple[str, ...]
    cells: tuple[str, ...]


class PlannedCell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model for a target: what would be tried, or why nothing would."""

    name: CellName
    recipes: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    """Their ids, each once."""
    finished: bool = False
    """An earlier call came to a verdict that still holds: nothing is done."""
    refused: str | None = None
    exit_code: int = 0
    plan: Plan | None = None
    """What is expected of each recipe."""
    notes: tuple[str, ...] = ()


class StepGraphResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `deployopt plan` of several targets and `deployopt matrix --plan` found."""

    schema_version: int = SCHEMA_VERSION
    file: str | None = None
    store: str
    share: str | None = None
    cells: tuple[PlannedCell, ...]
    left_out: int = 0
    """Cells that were not planned, as there are very many."""
    steps: tuple[PlannedStep, ...] = ()
    asked: int = 0
    """Steps of all cells, a shared one counted for each."""
    stored: int = 0
    shared: int = 0
    to_make: int = 0
    unknown: int = 0
    build_s: Estimate | None = None
    """Wall seconds of all cells one after another; None where some of them do not say."""
    warnings: tuple[str, ...] = ()
    exit_code: int


def total_estimate(estimates: Sequence[Estimate | None]) -> Estimate | None:
    """The sum, its band the sum of the bands; None where one is unknown or there is none."""
    known = [one for one in estimates if one is not None]
    if not known or len(known) < len(estimates):
        return None
    return Estimate(
        value=sum(one.value for one in known),
        lower=sum(one.lower for one in known),
        upper=sum(one.upper for one in known),
        coverage=min(one.coverage for one in known),
        basis=f"{len(known)} builds one after another, each as its plan expects it",
    )
