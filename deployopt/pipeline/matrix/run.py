"""The whole matrix: planned, what is done left alone, the rest given to an executor, summed up.

In: the file of a matrix. Out: a result for every cell, in the order of the file, a log that the
next call goes on from, a page. Refuses before anything is started what is wrong with the file.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.codec import decode_toml, encode_pretty
from deployopt.core.durations import read_duration
from deployopt.core.errors import UsageError
from deployopt.core.fleet import FleetFile
from deployopt.core.matrix import (
    CellRequest,
    CellResult,
    MatrixResult,
    MatrixWatcher,
    failed,
)
from deployopt.core.matrix_file import MatrixFile, check_names
from deployopt.device.machine import describe_machine
from deployopt.pipeline.matrix.admission import machine_bytes
from deployopt.pipeline.matrix.checking import checked
from deployopt.pipeline.matrix.child import LostCellError
from deployopt.pipeline.matrix.executor import RAY, Executor, Gives, executor_named
from deployopt.pipeline.matrix.expecting import with_expected
from deployopt.pipeline.matrix.fleet import OnFleet, check_labels, read_fleet, with_pools
from deployopt.pipeline.matrix.foreseeing import require_store
from deployopt.pipeline.matrix.journal import Journal, Log, check_output, only_writer
from deployopt.pipeline.matrix.memory import TooLargeError, too_large
from deployopt.pipeline.matrix.planning import Places, absolute, plan_cells, said_at
from deployopt.pipeline.matrix.summing import summed_up
from deployopt.pipeline.sharing import require_share
from deployopt.planning.toml_files import toml_bytes
from deployopt.reports.matrix_page import matrix_page
from deployopt.store.layout import default_root
from deployopt.store.share_place import whole_url
from deployopt.store.writing import atomic_write_bytes

RESULT: Final = "matrix.json"
PAGE: Final = "index.html"


class MatrixRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What `matrix` is asked; `output` goes before the file's."""

    file: Path
    output: Path | None = None
    store: Path | None = None
    executor: str = "processes"
    jobs: int | None = None
    """None: one cell a core of whatever builds."""
    ray_address: str | None = None
    fleet: Path | None = None
    share: str | None = None


def run_matrix(request: MatrixRequest, watcher: MatrixWatcher) -> MatrixResult:
    """Do it; a cell's failure is a result, and only what is wrong with all of them is raised.

    Raises:
        UsageError: the file, a name in it, the executor, or the output folder is wrong.
        IntegrityError: the log of an earlier call was changed.
        StorageError: the output folder cannot be written, or the share cannot be reached.
    """
    began = time.perf_counter_ns()
    if request.jobs is not None and request.jobs < 1:
        raise UsageError(f"--jobs {request.jobs}: at least one cell at a time.")
    cores = len(os.sched_getaffinity(0))
    executor: Executor = executor_named(
        request.executor, request.jobs, cores=cores, ray_address=request.ray_address
    )
    file = read_matrix(request.file)
    places = places_of(request, file)
    cells, fleet = planned_cells(request, file, places)
    if fleet is not None:
        executor = OnFleet(executor, fleet)
    check_output(places.output)
    require_store(places.store)
    require_share(places.share)
    with only_writer(places.output):
        journal = Journal(places.output)
        memory = _any_node if request.executor == RAY else machine_bytes
        results = finish_cells(cells, executor, journal, watcher, memory)
        result = _result(
            request, executor.jobs, places, results, (time.perf_counter_ns() - began) / 1e9
        )
        atomic_write_bytes(places.output / PAGE, matrix_page(result, results))
        atomic_write_bytes(places.output / RESULT, encode_pretty(result))
    return result


def planned_cells(
    request: MatrixRequest, file: MatrixFile, places: Places
) -> tuple[tuple[CellRequest, ...], FleetFile | None]:
    """The cells of the file, and the fleet that measures them; raises UsageError."""
    cells = plan_cells(file, places, describe_machine(runtime=False))
    if request.fleet is None:
        check_labels(file, places.where)
        return cells, None
    fleet = read_fleet(request.fleet)
    return with_pools(cells, file, fleet, str(request.fleet)), fleet


def read_matrix(path: Path) -> MatrixFile:
    """The file, its names checked; raises UsageError."""
    where = str(path)
    data = toml_bytes(path, "matrix file", "docs/matrix.md has one to begin with.")
    file = decode_toml(data, MatrixFile, where=where)
    check_names(file, where)
    return file


def finish_cells(
    cells: Sequence[CellRequest],
    executor: Gives,
    journal: Log,
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
    to_build = list(with_expected(to_build))
    watcher.planned(len(cells), len(found), [cell.expected_s for cell in to_build])
    asked = {cell.name.id: cell for cell in to_build}
    with closing(executor.results(to_build, watcher)) as results:
        for given in results:
            if given.name.id not in asked:
                continue  # nobody asked, or it came before
            cell = asked.pop(given.name.id)
            result = checked(cell, given, journal.output)
            journal.add(result)
            found[result.name.id] = result
            watcher.ended(result)
    for name, cell in asked.items():
        found[name] = failed(cell, LostCellError(f"Nobody gave a result of {name}."))
    return tuple(found[cell.name.id] for cell in cells)


def places_of(request: MatrixRequest, file: MatrixFile) -> Places:
    """Where the file's paths begin and its results go; raises UsageError."""
    folder = request.file.absolute().parent
    with said_at(f"{request.file}: output"):
        output = request.output or Path(absolute(file.output, folder))
    limit = file.time_limit
    return Places(
        where=str(request.file),
        folder=folder,
        output=output.absolute(),
        store=(request.store or default_root()).absolute(),
        share=None if request.share is None else whole_url(request.share),
        time_limit_s=None if limit is None else read_duration(limit, f"{request.file}: time_limit"),
    )


def _any_node() -> int:
    """The cluster's nodes are not known yet: it says itself what fits none of them."""
    return sys.maxsize


def _result(
    request: MatrixRequest,
    jobs: int,
    places: Places,
    cells: tuple[CellResult, ...],
    seconds: float,
) -> MatrixResult:
    return msgspec.structs.replace(
        summed_up(cells, output=places.output, seconds=seconds),
        file=str(request.file),
        page=str(places.output / PAGE),
        executor=request.executor,
        jobs=jobs,
    )
