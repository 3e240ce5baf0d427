"""What does Ray cost a cell, over a process that this machine starts by itself?

    python -m benchmarks.bench_matrix_ray                 pairs of runs, two nodes of one core
    pytest benchmarks/ -k matrix                          the same, short

Cells that sleep a known time, two at a time: by `processes`, and by a Ray cluster of two nodes. A
cell's time is what lies between the first result and the last, over their number, so that the start
of the cluster is not in it; both start the same process for a cell.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import pytest

from deployopt.core.matrix import NOBODY, Word
from deployopt.pipeline.matrix.executor import Executor
from deployopt.pipeline.matrix.processes import Processes
from deployopt.pipeline.matrix.ray_executor import RayExecutor
from tests.fakes.cells import COMMAND, cell
from tests.fakes.ray_cluster import MISSING, Cluster, running_cluster, there_is_ray

_STEP_S: Final = 0.2
_CELLS: Final = 16
_WARM: Final = 4
"""Cells in which Ray starts its workers, and everybody reads files for the first time."""
_ABREAST: Final = 2


def each(executor: Executor, cells: int, step_s: float) -> float:
    """Seconds a cell takes beside its step, two at a time."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        asked = [cell(f"sleep {step_s}", f"c{n}", store=store) for n in range(cells + _WARM)]
        times = []
        for one in executor.results(asked, NOBODY):
            assert one.word is Word.ACCEPTED, one.error
            times.append(time.perf_counter())
    return _ABREAST * (times[-1] - times[_WARM - 1]) / (len(times) - _WARM) - step_s


def overhead(cluster: Cluster, cells: int = _CELLS, pairs: int = 3) -> float:
    """Print and return the median of what a cell takes longer on the cluster."""
    found = []
    for _ in range(pairs):
        apart = each(Processes(_ABREAST, COMMAND), cells, _STEP_S)
        there = each(RayExecutor(cluster.address, None, COMMAND), cells, _STEP_S)
        found.append(there - apart)
        print(
            f"{cells} cells of {_STEP_S:g} s: a cell beside its step {apart * 1e3:.0f} ms by "
            f"processes, {there * 1e3:.0f} ms by Ray, {found[-1] * 1e3:+.0f} ms"
        )
    print(f"Ray takes {median(found) * 1e3:+.0f} ms a cell (median of {pairs})")
    return median(found)


def on_two_nodes(cells: int, pairs: int) -> float:
    """On a cluster that is started for it."""
    with running_cluster() as cluster:
        cluster.add()
        os.environ.update(cluster.environment)
        return overhead(cluster, cells, pairs)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=_CELLS)
    parser.add_argument("--pairs", type=int, default=3)
    asked = parser.parse_args(arguments)
    on_two_nodes(asked.cells, asked.pairs)
    return 0


@pytest.mark.skipif(not there_is_ray(), reason=MISSING)
def test_matrix_ray_overhead() -> None:
    # The aim is 0.05 s; a machine that others use is given more.
    assert on_two_nodes(cells=8, pairs=1) < 0.25


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
