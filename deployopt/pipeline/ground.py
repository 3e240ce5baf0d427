"""What every build stands on, whatever it builds: the request, the model, its data, the device."""

import msgspec

from deployopt.core.budget import Budget
from deployopt.core.evidence import Evidence
from deployopt.core.experience import Experience
from deployopt.core.measurement import Machine
from deployopt.core.plan import Plan
from deployopt.core.recipe import Recipe
from deployopt.core.request import BuildRequest
from deployopt.core.source import Dataset, SourceModel
from deployopt.device.device import Device
from deployopt.pipeline.making import Workbench


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What the rest of a build starts from."""

    request: BuildRequest
    source: SourceModel
    dataset: Dataset
    choices: Dataset | None = None
    """Questions with choices for a language model; None where none were given."""
    device: Device
    """What measures."""
    evidence: Evidence
    budgets: tuple[Budget, ...]
    recipes: tuple[Recipe, ...]
    reduced_range: bool
    bench: Workbench
    plan: Plan
    experiences: tuple[Experience, ...]
    """What was measured on devices before, as the store has it."""
    warnings: tuple[str, ...]

    @property
    def machine(self) -> Machine:
        """Of the device."""
        return self.device.machine
