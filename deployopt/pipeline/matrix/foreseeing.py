"""What a matrix, or one build for several targets, would do: its graph of steps, nothing begun.

In: cells, or the file of a matrix. Out: a StepGraphResult. Of very many cells the first are planned
and the others counted.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.matrix import CellRequest, worst
from deployopt.core.step_graph import (
    PlannedCell,
    StepGraphResult,
    StepState,
    total_estimate,
)
from deployopt.pipeline.matrix.admission import machine_bytes
from deployopt.pipeline.matrix.graphing import Grapher
from deployopt.pipeline.matrix.memory import too_large
from deployopt.pipeline.sharing import seen_share
from deployopt.store.faults import storage_errors
from deployopt.store.store import Store

MOST: Final = 1000
"""Cells that are planned; each takes about a tenth of a second."""


def graph_of(
    cells: Sequence[CellRequest],
    done: Callable[[CellRequest], bool] = lambda _: False,
) -> StepGraphResult:
    """The graph of these cells, which use one store; `done` tells those that need nothing.

    Raises:
        StorageError: the store cannot be read or written, or the share not reached.
    """
    root = Path(cells[0].store)
    share = seen_share(cells[0].share)
    with Store(root) as store, storage_errors("planning", root):
        grapher = Grapher(store, share)
        planned = tuple(_planned(cell, grapher, done) for cell in cells[:MOST])
        steps = grapher.steps()
    to_build = [one for one in planned if not one.finished and one.refused is None]
    estimates = [None if one.plan is None else one.plan.build_s for one in to_build]
    states = Counter(step.state for step in steps)
    return StepGraphResult(
        store=str(root),
        share=None if share is None else share.place.shown,
        cells=planned,
        left_out=len(cells) - len(planned),
        steps=steps,
        asked=grapher.asked,
        stored=states[StepState.STORED],
        shared=states[StepState.SHARED],
        to_make=states[StepState.TO_MAKE],
        unknown=states[StepState.UNKNOWN],
        build_s=total_estimate(estimates),
        warnings=() if share is None else tuple(share.said),
        exit_code=int(worst(one.exit_code for one in planned)),
    )


def require_store(root: Path) -> None:
    """Make the store, or find out at once that nothing could be kept in it.

    Raises:
        StorageError: it cannot be written.
    """
    with Store(root) as store, store.stage():
        pass


def _planned(
    cell: CellRequest, grapher: Grapher, done: Callable[[CellRequest], bool]
) -> PlannedCell:
    if done(cell):
        return PlannedCell(name=cell.name, finished=True)
    reason = too_large(cell.model, cell.memory_bytes, machine_bytes())
    planned = grapher.add(cell)
    if reason is None or planned.refused is not None:
        return planned
    return msgspec.structs.replace(planned, refused=reason, exit_code=5)
