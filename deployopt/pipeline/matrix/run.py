"""The whole matrix: planned, what is done left alone, the rest given to an executor, summed up.

In: the file of a matrix. Out: a result for every cell, in the order of the file, a log that the
next call goes on from, a page. Refuses before anything is started what is wrong with the file.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.codec import decode_toml, encode_pretty
from deployopt.core.durations import read_duration
from deployopt.core.errors import DeployoptError, IntegrityError, UsageError
from deployopt.core.matrix import (
    CellRequest,
    CellResult,
    MatrixResult,
    MatrixWatcher,
    Word,
    failed,
    worst,
)
from deployopt.core.matrix_file import MatrixFile, check_names
from deployopt.device.machine import describe_machine
from deployopt.pipeline.matrix.admission import machine_bytes
from deployopt.pipeline.matrix.child import LostCellError
from deployopt.pipeline.matrix.executor import Executor, executor_named
from deployopt.pipeline.matrix.journal import Journal, is_whole, only_writer
from deployopt.pipeline.matrix.memory import too_large
from deployopt.pipeline.matrix.planning import Places, plan_cells
from deployopt.planning.toml_files import toml_bytes
from deployopt.reports.matrix_page import matrix_page
from deployopt.store.layout import default_root
from deployopt.store.writing import atomic_write_bytes

RESULT: Final = "matrix.json"
PAGE: Final = "index.html"


class MatrixRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What `matrix` is asked; `output` goes before the file's."""

    file: Path
    output: Path | None = None
    store: Path | None = None
    executor: str = "processes"
    jobs: int


class TooLargeError(DeployoptError):
    """A cell needs more memory than this machine has."""


def run_matrix(request: MatrixRequest, watcher: MatrixWatcher) -> MatrixResult:
    """Do it; a cell's failure is a result, and only what is wrong with all of them is raised.

    Raises:
        UsageError: the file, a name in it, the executor, or the output folder is wrong.
        IntegrityError: the log of an earlier call was changed.
        StorageError: the output folder cannot be written.
    """
    began = time.perf_counter_ns()
    if request.jobs < 1:
        raise UsageError(f"--jobs {request.jobs}: at least one cell at a time.")
    executor = executor_named(request.executor, request.jobs)
    file = read_matrix(request.file)
    places = _places(request, file)
    machine = describe_machine(runtime=False)
    cells = plan_cells(file, places, machine)
    with only_writer(places.output):
        journal = Journal(places.output)
        results = finish_cells(cells, executor, journal, watcher)
        result = _summed_up(request, places, results, (time.perf_counter_ns() - began) / 1e9)
        atomic_write_bytes(places.output / PAGE, matrix_page(result))
        atomic_write_bytes(places.output / RESULT, encode_pretty(result))
    return result


def read_matrix(path: Path) -> MatrixFile:
    """The file, its names checked; raises UsageError."""
    where = str(path)
    data = toml_bytes(path, "matrix file", "docs/matrix.md has one to begin with.")
    file = decode_toml(data, MatrixFile, where=where)
    check_names(file, where)
    return file


def finish_cells(
    cells: Sequence[CellRequest],
    executor: Executor,
    journal: Journal,
    watcher: MatrixWatcher,
    memory: Callable[[], int] = machine_bytes,
) -> tuple[CellResult, ...]:
    """Every cell's result: found in the log, refused, or built; each is logged as it comes."""
    there = memory()
    found: dict[str, CellResult] = {}
    to_build = []
    for cell in cells:
        done = journal.done(cell.name.id, cell.key)
        reason = too_large(cell.model, cell.memory_bytes, there)
        if done is not None:
            found[cell.name.id] = done
        elif reason is not None:
            found[cell.name.id] = failed(cell, TooLargeError(reason))
        else:
            to_build.append(cell)
    watcher.planned(len(cells), len(found))
    asked = {cell.name.id: cell for cell in to_build}
    with closing(executor.results(to_build, watcher)) as results:
        for given in results:
            if given.name.id not in asked:
                continue  # nobody asked, or it came before
            cell = asked.pop(given.name.id)
            result = _checked(cell, given, journal.output)
            journal.add(result)
            found[result.name.id] = result
            watcher.ended(result)
    for name, cell in asked.items():
        found[name] = failed(cell, LostCellError(f"Nobody gave a result of {name}."))
    return tuple(found[cell.name.id] for cell in cells)


def _checked(cell: CellRequest, result: CellResult, output: Path) -> CellResult:
    """The result, if the cell asked for it and its bundle is what it says; else its failure."""
    if result.key == cell.key and (result.error is not None or is_whole(result, output)):
        return result
    reason = IntegrityError(
        f"The result of {cell.name.id} names a bundle that is not the one at "
        f"{output / (result.bundle or result.page or cell.name.id)}. Build the cell again."
    )
    return failed(cell, reason)


def _places(request: MatrixRequest, file: MatrixFile) -> Places:
    folder = request.file.absolute().parent
    output = request.output or folder / Path(file.output).expanduser()
    limit = file.time_limit
    return Places(
        where=str(request.file),
        folder=folder,
        output=output.absolute(),
        store=(request.store or default_root()).absolute(),
        time_limit_s=None if limit is None else read_duration(limit, f"{request.file}: time_limit"),
    )


def _summed_up(
    request: MatrixRequest, places: Places, cells: tuple[CellResult, ...], seconds: float
) -> MatrixResult:
    counts = {word.value: sum(cell.word is word for cell in cells) for word in Word}
    return MatrixResult(
        file=str(request.file),
        output=str(places.output),
        page=str(places.output / PAGE),
        executor=request.executor,
        jobs=1 if request.executor == "inline" else request.jobs,
        cells=cells,
        counts={word: count for word, count in counts.items() if count},
        reused=sum(cell.reused for cell in cells),
        seconds=round(seconds, 3),
        exit_code=int(worst(cell.exit_code for cell in cells)),
    )
