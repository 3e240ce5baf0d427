"""One model for several targets in one call: a matrix of one row, without a file.

In: what `build` or `plan` is asked, and targets. Out: a result for each target. Cells share their
steps as those of a matrix do; bundles get the names that single builds give them, in one folder,
and the same bytes. Refuses, before anything is begun, what only one target can have.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.matrix import (
    CellName,
    CellRequest,
    MatrixResult,
    MatrixWatcher,
)
from deployopt.core.request import BuildRequest
from deployopt.core.step_graph import StepGraphResult
from deployopt.core.target import Target
from deployopt.device.machine import describe_machine
from deployopt.pipeline.finishing import check_destinations, model_label
from deployopt.pipeline.matrix.cell import build_request
from deployopt.pipeline.matrix.digests import Keys
from deployopt.pipeline.matrix.executor import executor_named
from deployopt.pipeline.matrix.foreseeing import graph_of, require_store
from deployopt.pipeline.matrix.journal import NoLog
from deployopt.pipeline.matrix.memory import predicted_bytes
from deployopt.pipeline.matrix.planning import absolute, checked_data, checked_model
from deployopt.pipeline.matrix.run import finish_cells
from deployopt.pipeline.matrix.summing import summed_up
from deployopt.pipeline.sharing import require_share
from deployopt.sources.captions import read_captions
from deployopt.sources.choice_lines import read_choice_lines
from deployopt.store.layout import default_root


class SeveralRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`asked.target` is the first of `targets`; `asked.output` is not set."""

    asked: BuildRequest
    targets: tuple[Target, ...]
    executor: str = "processes"
    jobs: int


def build_several(request: SeveralRequest, watcher: MatrixWatcher) -> MatrixResult:
    """Build for every target; a target's failure is a result.

    Raises:
        UsageError: a name, a budget or an option is wrong.
        StorageError: the store cannot be written, or the share cannot be reached.
    """
    began = time.perf_counter_ns()
    if request.jobs < 1:
        raise UsageError(f"--jobs {request.jobs}: at least one target at a time.")
    executor = executor_named(request.executor, request.jobs)
    cells = cells_of(request)
    for cell in cells:
        check_destinations(build_request(cell))
    require_store(Path(cells[0].store))
    require_share(request.asked.share)
    folder = Path.cwd()
    results = finish_cells(cells, executor, NoLog(folder), watcher)
    seconds = (time.perf_counter_ns() - began) / 1e9
    jobs = 1 if request.executor == "inline" else request.jobs
    return msgspec.structs.replace(
        summed_up(results, output=folder, seconds=seconds), executor=request.executor, jobs=jobs
    )


def plan_several(request: SeveralRequest) -> StepGraphResult:
    """What `build_several` would do; raises as it does before anything is begun."""
    return graph_of(cells_of(request))


def cells_of(request: SeveralRequest) -> tuple[CellRequest, ...]:
    """A cell a target, in their order.

    Raises:
        UsageError: a target is named twice, or there is no such model or data.
    """
    asked = request.asked
    _check_targets(request.targets)
    _check_named(asked)
    keys = Keys(describe_machine(runtime=False))
    memory = predicted_bytes(asked.model)
    cells = (_cell(asked, target, memory) for target in request.targets)
    return tuple(msgspec.structs.replace(cell, key=keys.of(cell)) for cell in cells)


def _check_targets(targets: Sequence[Target]) -> None:
    names = [target.name for target in targets]
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise UsageError(f"--target: {twice} is named twice. Name each target once.")


def _check_named(asked: BuildRequest) -> None:
    """Refuse for all targets at once what none of them could be built with."""
    checked_model(asked.model, Path.cwd())
    for name in (asked.data, asked.train_data):
        checked_data(name, Path.cwd())
    if asked.questions is not None:
        read_choice_lines(Path(absolute(asked.questions, Path.cwd())))
    if asked.labels is not None:
        read_captions(Path(absolute(str(asked.labels), Path.cwd())))
    if asked.baseline is not None:
        raise UsageError(
            f"--baseline {asked.baseline} is one target's bundle, and several targets were given. "
            "Build that target by itself."
        )


def _cell(asked: BuildRequest, target: Target, memory_bytes: int) -> CellRequest:
    label = model_label(asked.model)
    return CellRequest(
        name=CellName(model=label, target=target.name),
        key="",
        # As it was typed, for it stands in the bundle: the cells' processes work in this folder.
        model=asked.model,
        target=target,
        budgets=asked.budgets,
        data=asked.data,
        columns=asked.columns,
        questions=asked.questions,
        labels=None if asked.labels is None else str(asked.labels),
        train_data=asked.train_data,
        unlabelled=None if asked.unlabelled is None else str(asked.unlabelled),
        effort=asked.effort,
        time_limit_s=asked.time_limit_s,
        accept_predicted=asked.accept_predicted,
        unsafe_load_pickle=asked.unsafe_load_pickle,
        lock=None if asked.lock is None else str(asked.lock.absolute()),
        runtime=asked.runtime,
        seed=asked.seed,
        output=str(Path.cwd() / f"{label}-{target.name}"),
        store=str((asked.store or default_root()).absolute()),
        share=asked.share,
        memory_bytes=memory_bytes,
    )
