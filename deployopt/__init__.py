"""From a trained model and a target device to an artifact that is proved to meet its budgets."""

from deployopt.api import (
    Bundle,
    build,
    detect,
    distill,
    finetune,
    fit,
    load_target,
    plan,
    recommend,
    report,
    targets,
    verify,
)
from deployopt.core.budget import Budget
from deployopt.core.errors import (
    CannotFitError,
    DeployoptError,
    ExitCode,
    IntegrityError,
    RefusedInputError,
    UsageError,
)
from deployopt.core.result import BuildResult, PlanResult, VerifyResult
from deployopt.core.target import Target
from deployopt.core.verdict import Outcome, Verdict
from deployopt.core.version import VERSION

__version__ = VERSION
__all__ = [
    "Budget",
    "BuildResult",
    "Bundle",
    "CannotFitError",
    "DeployoptError",
    "ExitCode",
    "IntegrityError",
    "Outcome",
    "PlanResult",
    "RefusedInputError",
    "Target",
    "UsageError",
    "Verdict",
    "VerifyResult",
    "build",
    "detect",
    "distill",
    "finetune",
    "fit",
    "load_target",
    "plan",
    "recommend",
    "report",
    "targets",
    "verify",
]
