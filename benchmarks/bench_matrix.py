"""What does a matrix cost beside its builds, and does it use the cores?

    python -m benchmarks.bench_matrix                     throughput, then the driver's growth
    python -m benchmarks.bench_matrix growth --most 500000
    pytest benchmarks/ -k matrix                          the same, short

Throughput: cells that spin one thread for a known time, by two processes against one by one, turn
about. Growth: an executor that answers at once, so that what is left is the driver: keys, log,
results, page, JSON; each count in a process of its own, for its memory. No build is run and no
model opened.
"""

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import linear_regression, median
from typing import Final

import msgspec

from deployopt.catalogue.models import DEMO
from deployopt.core.codec import encode_pretty
from deployopt.core.evidence import Evidence
from deployopt.core.figure import Figure
from deployopt.core.matrix import (
    NOBODY,
    CellRequest,
    CellResult,
    CellStep,
    MatrixWatcher,
    Word,
)
from deployopt.core.matrix_file import MatrixFile, ModelEntry, TargetEntry, check_names
from deployopt.pipeline.matrix.boards import NO_BOARDS
from deployopt.pipeline.matrix.journal import FILE, Journal
from deployopt.pipeline.matrix.planning import Places, plan_cells
from deployopt.pipeline.matrix.processes import Processes
from deployopt.pipeline.matrix.run import finish_cells
from deployopt.pipeline.matrix.summing import summed_up
from deployopt.reports.matrix_page import matrix_page
from tests.fakes.cells import COMMAND, cell
from tests.fakes.results import MACHINE

_STEP_S: Final = 2.0
_CELLS: Final = 6
_TARGETS: Final = 50
_FEW: Final = 1_000
STEP_S: Final = 1.0


class AtOnce:
    """An executor whose cells were rejected without any work; each leaves its page."""

    jobs = 1
    boards = NO_BOARDS

    def __init__(self, output: Path) -> None:
        self._output = output
        self.own = (0.0, 0.0)
        """What the pages took, which are no work of the driver's: by the wall, and of a core."""

    def results(
        self, cells: Sequence[CellRequest], watcher: MatrixWatcher
    ) -> Generator[CellResult, None, None]:
        """One for each."""
        del watcher
        size = Figure(value=1e6, evidence=Evidence.EXACT)
        for one in cells:
            before = clocks()
            (self._output / page_of(one)).touch()
            after = clocks()
            self.own = (self.own[0] + after[0] - before[0], self.own[1] + after[1] - before[1])
            yield CellResult(
                name=one.name,
                key=one.key,
                word=Word.REJECTED,
                exit_code=1,
                recipe="int8",
                figures={"artifact_size": size, "latency_p95": size},
                page=page_of(one),
                steps=(CellStep(recipe="int8", name="quantize", seconds=STEP_S),),
                steps_made=1,
                seconds=STEP_S,
            )


def page_of(cell: CellRequest) -> str:
    """As a rejected cell's page is called."""
    return f"{cell.name.id}.rejected.html"


def requests(count: int, folder: Path) -> tuple[CellRequest, ...]:
    """So many cells, over at most 50 targets, planned as a file's are."""
    models = tuple(ModelEntry(name=f"m{n}", model=DEMO) for n in range(-(-count // _TARGETS)))
    targets = tuple(TargetEntry(name=f"board-{n}", target="rpi4") for n in range(_TARGETS))
    file = MatrixFile(model=models, target=targets)
    check_names(file, "m.toml")
    places = Places(where="m.toml", folder=folder, output=folder / "out", store=folder / "store")
    return plan_cells(file, places, MACHINE)[:count]


class Grown(msgspec.Struct, frozen=True, kw_only=True):
    """What so many cells took: seconds by the wall and of a core, and bytes."""

    cells: int
    plan_s: tuple[float, float]
    run_s: tuple[float, float]
    resume_s: tuple[float, float]
    report_s: tuple[float, float]
    page_bytes: int
    json_bytes: int
    log_bytes: int
    memory_bytes: int
    """Above what the process had before the first cell."""

    def task_ms(self, clock: int) -> float:
        """Of the driver, for one cell."""
        return (self.plan_s[clock] + self.run_s[clock]) / self.cells * 1e3


def grown(count: int, folder: Path) -> Grown:
    """Plan, run, sum up, and resume so many cells."""
    before = resident()
    marks = [clocks()]
    cells = requests(count, folder)
    marks.append(clocks())
    journal = Journal(folder / "out")
    executor = AtOnce(folder / "out")
    results = finish_cells(cells, executor, journal, NOBODY)
    marks.append(clocks())
    result = summed_up(results, output=folder / "out", seconds=1.0)
    page, text = matrix_page(result, results), encode_pretty(result)
    marks.append(clocks())
    peak = resident()
    del results, journal, result
    again = finish_cells(cells, AtOnce(folder / "out"), Journal(folder / "out"), NOBODY)
    marks.append(clocks())
    assert all(one.reused for one in again)
    plan, run, report, resume = (
        (after[0] - begun[0], after[1] - begun[1]) for begun, after in pairwise(marks)
    )
    return Grown(
        cells=count,
        plan_s=plan,
        run_s=(run[0] - executor.own[0], run[1] - executor.own[1]),
        report_s=report,
        resume_s=resume,
        page_bytes=len(page),
        json_bytes=len(text),
        log_bytes=(folder / "out" / FILE).stat().st_size,
        memory_bytes=peak - before,
    )


def clocks() -> tuple[float, float]:
    """Wall, and this process's own time on a core, which others on the machine do not stretch."""
    return time.perf_counter(), time.process_time()


def resident() -> int:
    """The most that this process has had in memory; what its parent had does not count."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def apart(count: int) -> Grown:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bench_matrix", "one", "--most", str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=Grown)


def growth(most: int) -> dict[str, float]:
    """Print the parts at growing counts; the growth exponent of each."""
    counts = [most // 16, most // 4, most]
    found = []
    print("          a task: wall, core    plan     run  resume  report (core)")
    for count in counts:
        one = apart(count)
        found.append(one)
        parts = (one.plan_s, one.run_s, one.resume_s, one.report_s)
        print(
            f"{count:>8}  {one.task_ms(0):>7.2f} ms {one.task_ms(1):>5.2f} ms "
            + " ".join(f"{part[1]:>6.1f}s" for part in parts)
        )
        sizes = {
            "page": one.page_bytes,
            "JSON": one.json_bytes,
            "log": one.log_bytes,
            "memory": one.memory_bytes,
        }
        print(" " * 10 + ", ".join(f"{name} {n / 2**20:.1f} MiB" for name, n in sizes.items()))
    exponents = {
        "driver": exponent(found, lambda one: one.plan_s[1] + one.run_s[1]),
        "resume": exponent(found, lambda one: one.resume_s[1]),
        "report": exponent(found, lambda one: one.report_s[1]),
        "memory": exponent(found, lambda one: one.memory_bytes),
        "log": exponent(found, lambda one: one.log_bytes),
    }
    print("grows as n^e:", ", ".join(f"{part} {e:.2f}" for part, e in exponents.items()))
    return exponents


def exponent(found: Sequence[Grown], part: Callable[[Grown], float]) -> float:
    """The slope of a line through the logarithms, by least squares."""
    xs, ys = [math.log(one.cells) for one in found], [math.log(part(one)) for one in found]
    return linear_regression(xs, ys).slope


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
    for turn in range(pairs):
        if turn % 2:
            two, one = spun(2, cells, step_s), inline(cells, step_s)
        else:
            one, two = inline(cells, step_s), spun(2, cells, step_s)
        ratios.append(one / two)
        print(
            f"{cells} cells of {step_s:g} s: inline {one:.2f} s, two processes {two:.2f} s, "
            f"{ratios[-1]:.2f} x"
        )
    return median(ratios)


def inline(cells: int, step_s: float) -> float:
    """Seconds of as many such cells in this process, one after another."""
    began = time.perf_counter()
    for _ in range(cells):
        end = time.process_time() + step_s
        while time.process_time() < end:
            pass
    return time.perf_counter() - began


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=["throughput", "growth", "one"])
    parser.add_argument("--most", type=int, default=50_000)
    parser.add_argument("--pairs", type=int, default=3)
    asked = parser.parse_args(arguments)
    if asked.part == "one":
        with tempfile.TemporaryDirectory() as folder:
            sys.stdout.buffer.write(msgspec.json.encode(grown(asked.most, Path(folder))))
        return 0
    if asked.part != "growth":
        ratio = throughput(pairs=asked.pairs)
        print(f"two processes do {ratio:.2f} x the work of inline (median)")
    if asked.part != "throughput":
        growth(asked.most)
    return 0


def test_matrix_growth() -> None:
    exponents = growth(16 * _FEW)
    assert exponents["driver"] <= 1.15, exponents
    assert exponents["memory"] <= 1.1, exponents
    assert exponents["resume"] <= 1.15, exponents


def test_matrix_throughput() -> None:
    # A process takes about a second to begin on a slow machine, so that shorter cells gain nothing.
    assert throughput(cells=4, step_s=3.0, pairs=1) > 1.2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
