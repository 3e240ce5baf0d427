"""The file of a matrix becomes cells: every name looked up, every budget read, nothing started.

In: a file that was read, and where it lies. Out: a request for each cell, with its key. Refuses
here, for all cells at once, what a person wrote wrong.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.budget import Budget, merge_budgets, parse_budget
from deployopt.core.errors import UsageError
from deployopt.core.matrix import CellName, CellRequest, Word
from deployopt.core.matrix_file import MatrixFile, ModelEntry, TargetEntry, VariantEntry
from deployopt.core.measurement import Machine
from deployopt.core.target import Target
from deployopt.core.text import safe_text
from deployopt.pipeline.matrix.digests import Keys
from deployopt.pipeline.matrix.memory import predicted_bytes
from deployopt.planning.targets import load_target
from deployopt.remote.address import parse_address
from deployopt.sources.captions import read_captions
from deployopt.sources.choice_lines import read_choice_lines
from deployopt.sources.hub_names import PREFIX, parse_hub_name
from deployopt.sources.naming import check_data_name, is_path, model_path

_GRAPHS: Final = (".onnx", ".gguf")
_SHOWN: Final = 200


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where the file is, and where things go; `where` is the file for a person."""

    where: str
    folder: Path
    """What relative paths in the file begin at."""
    output: Path
    store: Path
    share: str | None = None
    time_limit_s: float | None = None


class _Column(msgspec.Struct, frozen=True, kw_only=True):
    entry: TargetEntry
    target: Target
    device: str | None
    budgets: tuple[Budget, ...]


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    entry: ModelEntry
    model: str
    data: str | None
    questions: str | None
    labels: str | None
    train_data: str | None
    memory_bytes: int


def plan_cells(file: MatrixFile, places: Places, machine: Machine) -> tuple[CellRequest, ...]:
    """The cells in the order of the file: a model's targets, a target's variants.

    Raises:
        UsageError: no such model, target or data; names of cells collide; budgets contradict each
            other; a device is claimed for targets of two architectures.
    """
    columns = tuple(_column(entry, places) for entry in file.target)
    _check_devices(columns, places.where)
    rows = tuple(_row(entry, places) for entry in file.model)
    common = _limits(file.budgets, f"{places.where}: budgets")
    variants = tuple(
        (entry, _limits(entry.budgets, f"{places.where}: variant {entry.name}: budgets"))
        for entry in file.variant
    )
    left_out = {tuple(pair) for pair in file.except_}
    cells = []
    for row in rows:
        for column in columns:
            for variant, limits in variants or ((None, ()),):
                name = _name(row, column, variant)
                if not left_out.isdisjoint(_ways_to_name(name)):
                    continue
                budgets = _merged(common, column, (variant, limits), name, places.where)
                cells.append(_cell(name, (row, column), budgets, file, places))
    if not cells:
        raise UsageError(f"{places.where}: except leaves no cell. Leave one pair out of it.")
    _check_ids([cell.name for cell in cells], places.where)
    keys = Keys(machine)
    return tuple(msgspec.structs.replace(cell, key=keys.of(cell)) for cell in cells)


def _cell(
    name: CellName,
    crossing: tuple[_Row, _Column],
    budgets: tuple[Budget, ...],
    file: MatrixFile,
    places: Places,
) -> CellRequest:
    row, column = crossing
    return CellRequest(
        name=name,
        key="",
        model=row.model,
        target=column.target,
        budgets=budgets,
        data=row.data,
        columns=row.entry.columns,
        questions=row.questions,
        labels=row.labels,
        train_data=row.train_data,
        effort=file.effort,
        time_limit_s=places.time_limit_s,
        accept_predicted=file.accept_predicted,
        seed=file.seed,
        runtime=column.entry.runtime,
        device=column.device,
        output=str(places.output / name.id),
        store=str(places.store),
        share=places.share,
        memory_bytes=row.memory_bytes,
    )


def _name(row: _Row, column: _Column, variant: VariantEntry | None) -> CellName:
    return CellName(
        model=row.entry.name,
        target=column.entry.name,
        variant=None if variant is None else variant.name,
    )


def _ways_to_name(name: CellName) -> set[tuple[str, ...]]:
    """As `except` may name the cell."""
    pair = (name.model, name.target)
    return {pair} if name.variant is None else {pair, (*pair, name.variant)}


def _row(entry: ModelEntry, places: Places) -> _Row:
    where = f"{places.where}: model {entry.name}"
    with said_at(where):
        model = checked_model(entry.model or entry.name, places.folder)
        data = checked_data(entry.data, places.folder)
        train_data = checked_data(entry.train_data, places.folder)
        questions = None
        if entry.questions is not None:
            questions = absolute(entry.questions, places.folder)
            read_choice_lines(Path(questions))
        labels = None if entry.labels is None else absolute(entry.labels, places.folder)
        if labels is not None:
            read_captions(Path(labels))
        return _Row(
            entry=entry,
            model=model,
            data=data,
            questions=questions,
            labels=labels,
            train_data=train_data,
            memory_bytes=predicted_bytes(model),
        )


def checked_model(name: str, folder: Path) -> str:
    """The name, or an absolute path; raises UsageError where there is no such model."""
    if name.startswith(PREFIX):
        parse_hub_name(name)
        return name
    if "/" in name or name.endswith(_GRAPHS):
        path = absolute(name, folder)
        model_path(path)
        return path
    if is_path(name):
        raise UsageError(f"There is no model {name!r}. A folder is written ./{name}.")
    from deployopt.catalogue.models import find_entry

    find_entry(name)
    return name


def checked_data(name: str | None, folder: Path) -> str | None:
    """The same of data."""
    if name is None:
        return None
    path = absolute(name, folder)
    if not name.startswith(PREFIX) and Path(path).exists():
        return path
    check_data_name(name)
    return name


def absolute(text: str, folder: Path) -> str:
    """The path, begun at the folder; raises UsageError of a home that is not here."""
    # Not resolved: what a link is called may decide what it is, as with a store of the hub's.
    try:
        return str(folder / Path(text).expanduser())
    except RuntimeError as error:
        raise UsageError(f"{text}: {error}") from error


def _column(entry: TargetEntry, places: Places) -> _Column:
    where = f"{places.where}: target {entry.name}"
    with said_at(where):
        name = entry.target or entry.name
        is_file = "/" in name or name.endswith(".toml")
        target = load_target(absolute(name, places.folder) if is_file else name)
        device = None if entry.device is None else str(parse_address(entry.device))
    return _Column(
        entry=entry,
        target=target,
        device=device,
        budgets=_limits(entry.budgets, f"{where}: budgets"),
    )


def _check_devices(columns: Sequence[_Column], where: str) -> None:
    """One device has one architecture."""
    claimed: dict[str, _Column] = {}
    for column in columns:
        if column.device is None:
            continue
        first = claimed.setdefault(column.device, column)
        arch, other = first.target.hardware.arch, column.target.hardware.arch
        if arch != other:
            raise UsageError(
                f"{where}: the device {column.device} is claimed twice: for {first.entry.name}, "
                f"which is {arch}, and for {column.entry.name}, which is {other}. It can be one of "
                "them only."
            )


def _limits(budgets: Mapping[str, str], where: str) -> tuple[Budget, ...]:
    with said_at(where):
        return tuple(parse_budget(name, limit) for name, limit in sorted(budgets.items()))


def _merged(
    common: tuple[Budget, ...],
    column: _Column,
    variant: tuple[VariantEntry | None, tuple[Budget, ...]],
    name: CellName,
    where: str,
) -> tuple[Budget, ...]:
    """The common limits, with the target's and the variant's in their place."""
    of_target = {budget.metric: budget for budget in column.budgets}
    for budget in variant[1]:
        other = of_target.get(budget.metric)
        if other is not None and other.limit != budget.limit:
            raise UsageError(
                f"{where}: the budgets of {name.id} contradict each other: {budget.metric} is "
                f"{other.shown} for target {column.entry.name} and {budget.shown} for variant "
                f"{name.variant}. Leave out one of them."
            )
    return merge_budgets(merge_budgets(common, column.budgets), variant[1])


def _check_ids(names: Sequence[CellName], where: str) -> None:
    """Each cell has files of its own."""
    taken: dict[str, CellName] = {}
    for name in names:
        for word in ("", *(f".{word.value}" for word in Word)):
            other = taken.setdefault(f"{name.id}{word}", name)
            if other is not name:
                raise UsageError(
                    f"{where}: two cells would write {name.id}{word}: {_shown(other)}, and "
                    f"{_shown(name)}. Rename a model, a target or a variant."
                )


def _shown(name: CellName) -> str:
    variant = "" if name.variant is None else f", variant {name.variant}"
    return f"model {name.model}, target {name.target}{variant}"


@contextmanager
def said_at(where: str) -> Iterator[None]:
    """Put the place in the matrix's file before what was wrong there."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    except OSError as error:  # of a path: it may not be looked at, or cannot be one
        path = safe_text(str(error.filename or "a path"), _SHOWN)
        raise UsageError(f"{where}: {path}: {error.strerror}.") from error
