"""From a trained model and a target device to an artifact that is proved to meet its budgets.

Names are looked up when they are first used: pytest imports this package in every run of a project
that has it installed, for its plugin, and should not wait for what such a run does not use.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Final

from deployopt.core.version import VERSION

if TYPE_CHECKING:
    from deployopt.api import (
        Bundle,
        build,
        build_each,
        compare,
        detect,
        distill,
        doctor,
        emulate,
        export,
        finetune,
        fit,
        gate,
        load_target,
        matrix,
        new_key,
        pack,
        plan,
        plan_each,
        plan_matrix,
        recommend,
        report,
        serve,
        sign,
        targets,
        unpack,
        verify,
    )
    from deployopt.core.budget import Budget
    from deployopt.core.errors import (
        CannotFitError,
        DeployoptError,
        ExitCode,
        IntegrityError,
        RefusedInputError,
        UnreachableError,
        UsageError,
    )
    from deployopt.core.gating import GateResult
    from deployopt.core.generation import Sampling
    from deployopt.core.matrix import MatrixResult
    from deployopt.core.result import BuildResult, CompareResult, PlanResult, VerifyResult
    from deployopt.core.step_graph import StepGraphResult
    from deployopt.core.target import Target
    from deployopt.core.verdict import Outcome, Verdict

__version__ = VERSION
__all__ = [
    "Budget",
    "BuildResult",
    "Bundle",
    "CannotFitError",
    "CompareResult",
    "DeployoptError",
    "ExitCode",
    "GateResult",
    "IntegrityError",
    "MatrixResult",
    "Outcome",
    "PlanResult",
    "RefusedInputError",
    "Sampling",
    "StepGraphResult",
    "Target",
    "UnreachableError",
    "UsageError",
    "Verdict",
    "VerifyResult",
    "build",
    "build_each",
    "compare",
    "detect",
    "distill",
    "doctor",
    "emulate",
    "export",
    "finetune",
    "fit",
    "gate",
    "load_target",
    "matrix",
    "new_key",
    "pack",
    "plan",
    "plan_each",
    "plan_matrix",
    "recommend",
    "report",
    "serve",
    "sign",
    "targets",
    "unpack",
    "verify",
]
# ONNX Runtime and onnxruntime-genai read this when they are imported: without it they tell their
# makers of every run, and keep a number for this machine in the home folder.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_HOMES: Final = {
    "Budget": "core.budget",
    "BuildResult": "core.result",
    "CannotFitError": "core.errors",
    "CompareResult": "core.result",
    "DeployoptError": "core.errors",
    "ExitCode": "core.errors",
    "GateResult": "core.gating",
    "IntegrityError": "core.errors",
    "MatrixResult": "core.matrix",
    "Outcome": "core.verdict",
    "PlanResult": "core.result",
    "RefusedInputError": "core.errors",
    "Sampling": "core.generation",
    "StepGraphResult": "core.step_graph",
    "Target": "core.target",
    "UnreachableError": "core.errors",
    "UsageError": "core.errors",
    "Verdict": "core.verdict",
    "VerifyResult": "core.result",
}
"""Where a name is that is no call of `deployopt.api`."""

if not TYPE_CHECKING:  # a type checker would take every name for one that is there

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"deployopt.{_HOMES.get(name, 'api')}"), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
