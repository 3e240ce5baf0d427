"""What does a matrix cost beside its builds, and does it use the cores?

    python -m benchmarks.bench_matrix                     throughput, then the driver's growth
    python -m benchmarks.bench_matrix growth --most 500000
    pytest benchmarks/ -k matrix                          the same, short

Throughput: cells that spin one thread for a known time, by two processes against one. Growth: an
executor that answers at once, so that what is left is the driver: keys, log, results, page. No
build is run and no model opened.
"""

import argparse
import math
import resource
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from deployopt.core.evidence import Evidence
from deployopt.core.figure import Figure
from deployopt.core.matrix import (
    NOBODY,
    CellName,
    CellRequest,
    CellResult,
    MatrixResult,
    MatrixWatcher,
    Word,
)
from deployopt.pipeline.matrix.digests import Keys
from deployopt.pipeline.matrix.journal import Journal
from deployopt.pipeline.matrix.processes import Processes
from deployopt.pipeline.matrix.run import finish_cells
from deployopt.planning.targets import load_target
from deployopt.reports.matrix_page import matrix_page
from tests.fakes.cells import COMMAND, cell
from tests.fakes.results import MACHINE

_STEP_S: Final = 2.0
_CELLS: Final = 6
_TARGETS: Final = 50
_FEW: Final = 1_000
_GIB: Final = 2**30


class AtOnce:
    """An executor whose cells were rejected without any work."""

    def results(
        self, cells: Sequence[CellRequest], watcher: MatrixWatcher
    ) -> Generator[CellResult, None, None]:
        """One for each."""
        del watcher
        size = Figure(value=1e6, evidence=Evidence.EXACT)
        for one in cells:
            yield CellResult(
                name=one.name,
                key=one.key,
                word=Word.REJECTED,
                exit_code=1,
                recipe="int8",
                figures={"artifact_size": size, "latency_p95": size},
                page="page.html",
                seconds=1.0,
            )


def requests(count: int, store: Path) -> tuple[CellRequest, ...]:
    """So many cells, over at most 50 targets, with their keys."""
    base, keys = cell(store=store), Keys(MACHINE)
    targets = [
        msgspec.structs.replace(load_target("rpi4"), name=f"board-{n}") for n in range(_TARGETS)
    ]
    made = []
    for number in range(count):
        model, target = f"m{number // _TARGETS}", targets[number % _TARGETS]
        name = CellName(model=model, target=target.name)
        one = msgspec.structs.replace(base, name=name, model=model, target=target)
        made.append(msgspec.structs.replace(one, key=keys.of(one)))
    return tuple(made)


def grown(count: int, folder: Path) -> dict[str, float]:
    """Seconds of each part for so many cells; KiB a cell of the log and of the process."""
    began = time.perf_counter()
    cells = requests(count, folder / "store")
    planned = time.perf_counter()
    journal = Journal(folder / "out")
    (folder / "out" / "page.html").write_text("page")
    results = finish_cells(cells, AtOnce(), journal, NOBODY)
    ran = time.perf_counter()
    page = matrix_page(summed(results))
    drawn = time.perf_counter()
    again = finish_cells(cells, AtOnce(), Journal(folder / "out"), NOBODY)
    ended = time.perf_counter()
    assert all(one.reused for one in again)
    return {
        "plan": planned - began,
        "run": ran - planned,
        "page": drawn - ran,
        "resume": ended - drawn,
        "page KiB": len(page) / 1024,
        "peak GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _GIB,
    }


def summed(cells: tuple[CellResult, ...]) -> MatrixResult:
    """As `matrix` gives it."""
    return MatrixResult(
        file="m.toml", output="out", executor="none", jobs=1, cells=cells,
        counts={"rejected": len(cells)}, exit_code=1,
    )  # fmt: skip


def growth(most: int) -> float:
    """Print the parts at growing counts; the exponent of plan and run together."""
    counts = [most // 16, most // 4, most]
    totals = []
    heads = ("plan", "run", "page", "resume", "ms a cell")
    print(f"{'cells':>8} {' '.join(f'{head:>9}' for head in heads)}  page, peak")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            found = grown(count, Path(folder))
        totals.append(found["plan"] + found["run"])
        print(
            f"{count:>8} {found['plan']:>7.2f} s {found['run']:>7.2f} s {found['page']:>7.2f} s"
            f" {found['resume']:>7.2f} s {totals[-1] / count * 1e3:>9.3f}  "
            f"{found['page KiB']:.0f} KiB, {found['peak GiB']:.2f} GiB"
        )
    exponent = math.log(totals[-1] / totals[0]) / math.log(counts[-1] / counts[0])
    print(f"plan and run grow as n^{exponent:.2f}")
    return exponent


def spun(jobs: int, cells: int, step_s: float) -> float:
    """Seconds of so many cells that spin, so many at a time."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        asked = [cell(f"spin {step_s}", f"c{n}", store=store) for n in range(cells)]
        began = time.perf_counter()
        found = list(Processes(jobs, COMMAND).results(asked, NOBODY))
        took = time.perf_counter() - began
    assert all(one.word is Word.ACCEPTED for one in found)
    return took


def throughput(cells: int = _CELLS, step_s: float = _STEP_S, pairs: int = 3) -> float:
    """Print and return how many times as fast two processes are, against cells one by one."""
    ratios = []
    for _ in range(pairs):
        one, two = cells * spun_here(step_s), spun(2, cells, step_s)
        ratios.append(one / two)
        print(
            f"{cells} cells of {step_s:g} s: inline {one:.2f} s, two processes {two:.2f} s, "
            f"{ratios[-1]:.2f} x"
        )
    return median(ratios)


def spun_here(step_s: float) -> float:
    """Seconds that such a cell takes in this process."""
    began = time.perf_counter()
    end = time.process_time() + step_s
    while time.process_time() < end:
        pass
    return time.perf_counter() - began


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=["throughput", "growth"])
    parser.add_argument("--most", type=int, default=50_000)
    asked = parser.parse_args(arguments)
    if asked.part != "growth":
        throughput()
    if asked.part != "throughput":
        growth(asked.most)
    return 0


def test_matrix_growth() -> None:
    assert growth(16 * _FEW) <= 1.15


def test_matrix_throughput() -> None:
    assert throughput(cells=4, step_s=1.0, pairs=1) > 1.2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
