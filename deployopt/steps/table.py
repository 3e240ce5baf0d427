"""All steps by name, for whoever reads a recipe from a file."""

from typing import Final

from deployopt.core.recipe import Step
from deployopt.steps.distil import Distil
from deployopt.steps.export import Export
from deployopt.steps.optimize import Optimize
from deployopt.steps.prune import Prune
from deployopt.steps.quantize import QuantizeDynamic, QuantizeStatic

STEPS: Final[dict[str, type[Step]]] = {
    Prune.name: Prune,
    Distil.name: Distil,
    Export.name: Export,
    Optimize.name: Optimize,
    QuantizeDynamic.name: QuantizeDynamic,
    QuantizeStatic.name: QuantizeStatic,
}
