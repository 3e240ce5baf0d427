"""One cell: the existing build of a model for a target, with a result whatever happens.

In: a request that may have come from elsewhere as JSON. Out: a CellResult; an error on purpose is
its failure and no exception. Interrupts and faults of the program's own are left to the caller.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import DeployoptError
from deployopt.core.figure import Figure
from deployopt.core.fleet import Board
from deployopt.core.matrix import CellRequest, CellResult, CellStep, Word, failed
from deployopt.core.request import BuildRequest
from deployopt.core.result import BuildResult, CandidateResult
from deployopt.core.verdict import Verdict
from deployopt.core.watching import Watcher
from deployopt.device.device import Device
from deployopt.pipeline.build import run_build
from deployopt.pipeline.matrix.exclusive import (
    DeviceAlone,
    LeasedStages,
    MachineAlone,
    place_name,
)
from deployopt.pipeline.matrix.messages import WAITING
from deployopt.pipeline.matrix.on_board import BoardStages, Connecting, OnBoard, Reach
from deployopt.pipeline.matrix.turns import LeasedTurns, Turns
from deployopt.pipeline.reaching import reached, runtimes_here
from deployopt.sources.placing import placed
from deployopt.store.leases import Held, Lease, leases_in

SIZE: Final = "artifact_size"
MEMORY: Final = "memory_peak"


def run_cell(
    request: CellRequest, watcher: Watcher, lease: Lease | None = None, turns: Turns | None = None
) -> CellResult:
    """Build it; `lease` is one that is held already, of the machine that builds.

    `turns` are those of its boards, by default the leases of cells on this machine.
    """
    began = time.perf_counter_ns()
    with ExitStack() as stack:
        lease = stack.enter_context(lease or Lease(_leases(request)))
        turns = turns or LeasedTurns(_leases(request))
        reach = _reach(request, watcher)
        board = OnBoard(request.boards, turns, lease, reach) if request.boards else None
        try:
            result = _result(request, _built(request, watcher, lease, board), _since(began))
        except DeployoptError as error:
            result = failed(request, error, seconds=_since(began))
    waited_s = lease.waited_s + (0.0 if board is None else board.waited_s)
    return msgspec.structs.replace(
        result,
        waited_s=round(waited_s, 3),
        device=None if board is None or board.board is None else board.board.name,
    )


def build_request(request: CellRequest) -> BuildRequest:
    """What `build` would be asked for the cell."""
    return BuildRequest(
        model=request.model,
        target=request.target,
        budgets=request.budgets,
        data=request.data,
        columns=request.columns,
        questions=request.questions,
        labels=None if request.labels is None else Path(request.labels),
        output=Path(request.output),
        accept_predicted=request.accept_predicted,
        effort=request.effort,
        train_data=request.train_data,
        unlabelled=None if request.unlabelled is None else Path(request.unlabelled),
        time_limit_s=request.time_limit_s,
        store=Path(request.store),
        share=request.share,
        share_needed=False,
        seed=request.seed,
        lock=None if request.lock is None else Path(request.lock),
        unsafe_load_pickle=request.unsafe_load_pickle,
        runtime=request.runtime,
    )


def _built(
    request: CellRequest, watcher: Watcher, lease: Lease, board: OnBoard | None
) -> BuildResult:
    if lease.held is Held.NOT:
        lease.share()
    with _device(request, watcher, lease, board) as (device, stages), placed(request.places):
        return run_build(build_request(request), stages, None, device)


def _reach(request: CellRequest, watcher: Watcher) -> Reach:
    def reach(board: Board) -> AbstractContextManager[Device | None]:
        watcher.advance(0.0, f"measured by {board.name}")
        runtimes = runtimes_here(request.target)
        return reached(board.address, request.target, runtimes, Connecting(watcher), board.claim)

    return reach


def _leases(request: CellRequest) -> Path:
    return leases_in(Path(request.store), request.leases)


@contextmanager
def _device(
    request: CellRequest, watcher: Watcher, lease: Lease, board: OnBoard | None
) -> Iterator[tuple[Device, Watcher]]:
    """What measures, and the watcher whose stages hold that machine's lease."""

    def waits() -> None:
        watcher.advance(0.0, WAITING)

    if board is not None:
        with board:
            yield board, BoardStages(watcher, board, lease, waits)
        return
    if request.device is None:
        yield MachineAlone(lease), LeasedStages(watcher, lease, waits)
        return
    target = request.target
    there = Lease(_leases(request), place_name(request.device))
    with there:
        # Whoever is measured there is not disturbed by the self-check of a connection.
        there.on_wait = waits
        there.share()
        with reached(request.device, target, runtimes_here(target), watcher) as device:
            if device is None:
                raise ValueError("a device with an address was not given")
            yield DeviceAlone(device, there), LeasedStages(watcher, there, waits, lease)


def _result(request: CellRequest, built: BuildResult, seconds: float) -> CellResult:
    verdict, chosen = built.verdict, built.chosen
    steps = [
        CellStep(recipe=candidate.recipe, name=step.name, seconds=step.seconds, reused=step.reused)
        for candidate in built.candidates
        for step in candidate.steps
    ]
    return CellResult(
        name=request.name,
        key=request.key,
        word=Word.FAILED if verdict is None else Word(verdict.word),
        exit_code=built.exit_code,
        recipe=None if chosen is None else chosen.recipe,
        precision=None if chosen is None else chosen.precision,
        figures=_figures(verdict, chosen),
        foreseen={} if chosen is None else chosen.predicted,
        verdict=verdict,
        bundle=None if built.bundle is None else Path(built.bundle).name,
        bundle_digest=built.bundle_digest,
        page=None if built.page is None else Path(built.page).name,
        settle=built.settle,
        warnings=built.warnings,
        seconds=round(seconds, 3),
        steps_made=sum(not step.reused for step in steps),
        steps_reused=sum(step.reused for step in steps),
        steps=tuple(steps),
    )


def _figures(verdict: Verdict | None, chosen: CandidateResult | None) -> dict[str, Figure]:
    """What was judged; of what no budget speaks, size and memory as they were found."""
    found: dict[str, Figure | None] = {}
    if chosen is not None:
        found = {SIZE: chosen.size, MEMORY: chosen.memory}
    for check in () if verdict is None else verdict.checks:
        if check.evidence is not None:
            found[check.metric] = Figure(
                value=check.observed,
                lower=check.lower,
                upper=check.upper,
                confidence=check.confidence,
                samples=check.samples,
                evidence=check.evidence,
            )
    return {name: figure for name, figure in found.items() if figure is not None}


def _since(began: int) -> float:
    return (time.perf_counter_ns() - began) / 1e9
