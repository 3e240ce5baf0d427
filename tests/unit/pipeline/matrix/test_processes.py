"""Cells in processes of their own: whatever one does, the others go on and nothing is left."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from deployopt.core.matrix import NOBODY, CellRequest, CellResult, MatrixWatcher, Word
from deployopt.pipeline.matrix.child import Bounds
from deployopt.pipeline.matrix.processes import Processes
from deployopt.store.leases import Lease
from tests.fakes.cells import COMMAND, Seen, cell
from tests.functional.conftest import ROOT


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def results(
    cells: Sequence[CellRequest],
    *,
    jobs: int = 2,
    watcher: MatrixWatcher = NOBODY,
    bounds: Bounds = Bounds(),  # noqa: B008 -- frozen
    free: int = 2**40,
) -> dict[str, CellResult]:
    executor = Processes(jobs, COMMAND, bounds, lambda: free)
    return {one.name.model: one for one in executor.results(cells, watcher)}


def test_every_cell_has_a_result_and_is_watched(tmp_path: Path) -> None:
    seen = Seen()
    cells = [cell(name=name, store=tmp_path / "store") for name in "abc"]
    found = results(cells, watcher=seen)
    assert {name: one.word for name, one in found.items()} == dict.fromkeys("abc", Word.ACCEPTED)
    assert [one.attempts for one in found.values()] == [1, 1, 1]
    assert sorted(event[1] for event in seen.of("began")) == ["a-rpi4", "b-rpi4", "c-rpi4"]
    assert len(seen.of("stage")) == 3
    assert not list((tmp_path / "store" / "staging").iterdir())


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("die", "killed by SIGKILL: the system probably ran out of memory. Its last words: last w"),
        ("flood", "it printed more than 1 MiB and was stopped."),
        ("another's", "it wrote the result of another cell. (both times)"),
    ],
)  # fmt: skip
def test_a_process_without_a_result_is_that_cells_failure(
    tmp_path: Path, model: str, said: str
) -> None:
    cells = [cell(model, "bad", store=tmp_path / "store"), cell(store=tmp_path / "store")]
    found = results(cells, bounds=Bounds(output_bytes=2**20))
    assert found["a"].word is Word.ACCEPTED
    bad = found["bad"]
    assert (bad.word, bad.exit_code, bad.attempts) == (Word.FAILED, 5, 2)
    assert said in (bad.error or "")
    assert bad.error_kind == "LostCellError"


def test_one_that_hangs_is_stopped(tmp_path: Path) -> None:
    found = results([cell("hang", store=tmp_path / "store")], bounds=Bounds(quiet_s=1.5))
    assert "gave no sign of life for 1.5 s and was stopped. (both times)" in (
        found["a"].error or ""
    )


def test_what_died_once_is_tried_again_with_the_machine_to_itself(tmp_path: Path) -> None:
    seen = Seen()
    names = ["x", "y", "z"]
    cells = [cell("die once", "bad", store=tmp_path / "store")]
    cells += [cell("spin 0.2", name, store=tmp_path / "store") for name in names]
    found = results(cells, watcher=seen)
    assert (found["bad"].word, found["bad"].attempts) == (Word.ACCEPTED, 2)
    assert "It is tried once more." in seen.of("note")[0][2]
    assert seen.of("began")[-1][1] == "bad-rpi4"


def test_no_more_at_a_time_than_memory_allows(tmp_path: Path) -> None:
    watched = _Most()
    cells = [
        cell("spin 0.1", str(n), store=tmp_path / "store", memory_bytes=2**30) for n in range(3)
    ]
    results(cells, jobs=3, watcher=watched, free=2**30)
    assert watched.most == 1
    watched = _Most()
    results(cells, jobs=3, watcher=watched, free=2**33)
    assert watched.most > 1


class _Most(Seen):
    """How many worked at the same time."""

    most = 0

    def began(self, cell: str, where: str = "") -> None:
        super().began(cell, where)
        here = psutil.Process().children()
        self.most = max(self.most, len([one for one in here if "tests.fakes.cells" in _line(one)]))


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_nothing_begins_while_somebody_measures(tmp_path: Path) -> None:
    store = tmp_path / "store"
    measured: list[str] = []
    seen = Seen()
    with Lease(store / "leases") as measurer:
        measurer.alone()

        def end() -> None:
            measured.extend(event[1] for event in seen.of("began"))
            measurer.drop()

        timer = threading.Timer(1.2, end)
        timer.start()
        assert [one.word for one in Processes(2, COMMAND).results([cell(store=store)], seen)]
        timer.join()
    assert measured == []
    assert len(seen.of("began")) == 1


def test_closing_the_results_ends_what_was_begun(tmp_path: Path) -> None:
    store = tmp_path / "store"
    given = Processes(2, COMMAND, free=lambda: 2**40).results(
        [cell(name="a", store=store), cell("family", "b", store=store)], NOBODY
    )
    assert next(given).name.model == "a"
    pids = _family(tmp_path)
    given.close()
    assert not any(_lives(pid) for pid in pids)


DRIVER = """
import sys; from pathlib import Path
from deployopt.core.matrix import NOBODY
from deployopt.pipeline.matrix.processes import Processes
from tests.fakes.cells import COMMAND, cell
list(Processes(2, COMMAND).results([cell("family", "a", store=Path(sys.argv[1]))], NOBODY))
"""


def test_a_worker_dies_with_its_driver(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path / "store")]) as driver:
        worker, child = _family(tmp_path)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    end = time.monotonic() + 10
    while _lives(worker) and time.monotonic() < end:
        time.sleep(0.02)
    assert not _lives(worker)
    os.kill(child, signal.SIGKILL)  # it was told of no parent; real children are


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _family(folder: Path) -> tuple[int, int]:
    """The numbers of a worker and of what it started, once they run."""
    path = folder / "family"
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if path.exists() and path.read_text():
            worker, child = map(int, path.read_text().split())
            return worker, child
        time.sleep(0.02)
    raise AssertionError("it never began")
