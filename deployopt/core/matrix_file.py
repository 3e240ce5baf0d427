"""The file of a matrix, as a person writes it: models, targets, variants, budgets.

In: tables that were read. Out: a record, its names checked. What the names stand for (a model's
folder, a target's profile) is looked up by `pipeline/matrix/planning.py`.
"""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.search import Effort

NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,47}$"
CELLS_MAX: Final = 1_000_000
_PAIR: Final = 2

Name = Annotated[
    str,
    msgspec.Meta(
        pattern=NAME,
        description="a name of at most 48 small letters, digits, dots, dashes and underscores",
    ),
]

Label = Annotated[
    str,
    msgspec.Meta(
        pattern=NAME,
        description="a word of at most 48 small letters, digits, dots, dashes and underscores",
    ),
]


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row: a model and the data that it is judged by."""

    name: Name
    model: str | None = None
    """As `--model`; None: the name is an alias."""
    data: str | None = None
    columns: dict[str, str] = {}
    questions: str | None = None
    labels: str | None = None
    """As `--labels`."""
    train_data: str | None = None


class TargetEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A column: a target, where it is measured, and limits of its own."""

    name: Name
    target: str | None = None
    """A shipped profile or a TOML file; None: the name is a shipped one's."""
    device: str | None = None
    """`ssh://[user@]host[:port]`; None: this machine measures."""
    labels: tuple[Label, ...] = ()
    """Of the fleet's devices for this target, only those that have all of them."""
    runtime: str | None = None
    """As `--runtime`; None: what the target allows."""
    budgets: dict[str, str] = {}


class VariantEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same model and target once more, under other limits."""

    name: Name
    budgets: dict[str, str] = {}


class MatrixFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every model for every target, in every variant, except what `except` names."""

    output: str = "matrix"
    """The folder of bundles and reports, beside the file where the path is relative."""
    effort: Effort | None = None
    time_limit: str | None = None
    """Of each cell, e.g. `40m`."""
    accept_predicted: bool = False
    seed: int = 0
    budgets: dict[str, str] = {}
    """Of every cell; a target's or a variant's limit on the same metric goes before."""
    model: tuple[ModelEntry, ...] = ()
    target: tuple[TargetEntry, ...] = ()
    variant: tuple[VariantEntry, ...] = ()
    except_: tuple[tuple[str, ...], ...] = msgspec.field(name="except", default=())
    """Cells left out: `[model, target]` or `[model, target, variant]`."""


def check_names(file: MatrixFile, where: str) -> None:
    """Refuse a matrix of nothing, names that are given twice, and exceptions of nothing.

    Raises:
        UsageError: says which table and which name.
    """
    for kind, found in (("model", file.model), ("target", file.target)):
        if not found:
            raise UsageError(f"{where}: there is no [[{kind}]]. Add one: a matrix needs both.")
    for kind, entries in _lists(file):
        names = [entry.name for entry in entries]
        twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
        if twice is not None:
            raise UsageError(f"{where}: two [[{kind}]] are called {twice!r}. Rename one of them.")
    if len(file.model) * len(file.target) * max(1, len(file.variant)) > CELLS_MAX:
        raise UsageError(f"{where}: this is more than {CELLS_MAX} cells. Split the file.")
    for pair in file.except_:
        _check_exception(pair, file, where)


def _check_exception(pair: tuple[str, ...], file: MatrixFile, where: str) -> None:
    lists = [(kind, [entry.name for entry in entries]) for kind, entries in _lists(file)]
    if not _PAIR <= len(pair) <= len(lists) - (not file.variant):
        raise UsageError(
            f"{where}: except: {list(pair)} is no [model, target]"
            f"{' or [model, target, variant]' if file.variant else ''}."
        )
    for name, (kind, names) in zip(pair, lists, strict=False):
        if name not in names:
            raise UsageError(f"{where}: except: {list(pair)}: no [[{kind}]] is called {name!r}.")


def _lists(
    file: MatrixFile,
) -> tuple[tuple[str, Sequence[ModelEntry | TargetEntry | VariantEntry]], ...]:
    return (("model", file.model), ("target", file.target), ("variant", file.variant))
