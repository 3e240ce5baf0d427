"""What callers may give in several forms, read: targets, models, budgets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deployopt.api.devices import load_target
from deployopt.core.budget import Budget, merge_budgets, parse_budget
from deployopt.core.errors import UsageError
from deployopt.core.search import Effort
from deployopt.core.target import Target

Budgets = Mapping[str, str] | Sequence[Budget]
"""`{"latency_p95": "60 ms"}`, or budgets already read."""
Model = Any
"""An alias, `hub:ORG/NAME`, a folder, an .onnx file, or a torch.nn.Module."""


def target_of(target: str | Path | Target) -> Target:
    """The target itself, or the one of that name or file; raises UsageError."""
    return target if isinstance(target, Target) else load_target(target)


def model_name(model: Model) -> str:
    """What reports call it: the name as given, of a module its class."""
    return str(model) if isinstance(model, str | Path) else type(model).__name__.lower()


def labels_file(model: Model, labels: Sequence[str] | str | Path) -> Path | None:
    """Where the labels of an image-text model lie; None of a module, whose labels are words.

    Raises:
        UsageError: the model takes them in the other form.
    """
    named, file = isinstance(model, str | Path), isinstance(labels, str | Path)
    if not named and file:
        raise UsageError("A module's labels are given as they are, not as a file.")
    if named and labels and not file:
        raise UsageError(
            "Labels of a model by name are of an image-text model (CLIP, SigLIP), and given as a "
            "file: a .txt with a label a line, or a table with the columns text and label. Only a "
            "module's are given as they are."
        )
    return Path(labels) if isinstance(labels, str | Path) else None


def limits_of(budgets: Budgets | None) -> tuple[Budget, ...]:
    """The budgets, read; raises UsageError on a wrong name or unit."""
    if budgets is None:
        return ()
    if isinstance(budgets, Mapping):
        return tuple(parse_budget(name, limit) for name, limit in budgets.items())
    if not all(isinstance(budget, Budget) for budget in budgets):
        raise UsageError('Budgets are given as {"latency_p95": "60 ms"} or as Budget records.')
    return merge_budgets((), tuple(budgets))


def effort_named(name: str) -> Effort:
    """The effort of this name; raises UsageError."""
    try:
        return Effort(name)
    except ValueError as error:
        known = ", ".join(effort.value for effort in Effort)
        raise UsageError(f"{name[:40]!r} is no effort. Known: {known}.") from error
