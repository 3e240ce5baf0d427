"""Cells of a matrix, and processes that build none: `python -m tests.fakes.cells …` is a worker.

What such a worker does stands in its cell's model: `ok`, `die`, `die once`, `hang`, `flood`,
`another's`, `board 0 1`, `full`, `measure 0.5`, `nonsense`, `sleep 0.5`, `spin 0.5`, `family`.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import DeployoptError
from deployopt.core.matrix import (
    CellName,
    CellRequest,
    CellResult,
    MatrixWatcher,
    Word,
    failed,
)
from deployopt.core.request import BuildRequest
from deployopt.core.result import BuildResult
from deployopt.core.watching import Watcher
from deployopt.device.device import Device
from deployopt.pipeline.matrix import cell as cells
from deployopt.pipeline.matrix.turns import Turns
from deployopt.pipeline.matrix.worker import serve
from deployopt.planning.targets import load_target
from deployopt.remote import ssh_device
from deployopt.store.faults import storage_errors
from deployopt.store.leases import Lease
from tests.fakes import results

FULL: Final = "TEST_NODE_IS_FULL"
"""Set where a cell that is `full` finds no space."""
COMMAND: Final = (sys.executable, "-m", "tests.fakes.cells")


def cell(model: str = "ok", name: str = "a", *, store: Path, memory_bytes: int = 1) -> CellRequest:
    """One of them."""
    return CellRequest(
        name=CellName(model=name, target="rpi4"),
        key=f"{name:0>64}",
        model=model,
        target=load_target("rpi4"),
        budgets=(),
        output=str(store.parent / "out" / name),
        store=str(store),
        memory_bytes=memory_bytes,
    )


def result_of(request: CellRequest, word: Word = Word.ACCEPTED, **changed: object) -> CellResult:
    """What a cell came to that needs no bundle."""
    made = CellResult(name=request.name, key=request.key, word=word, exit_code=0, recipe="int8")
    return msgspec.structs.replace(made, **changed)


class Seen:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, ...]] = []
        self.loads: list[tuple[int, int]] = []

    def planned(self, total: int, reused: int, expected_s: Sequence[float | None] = ()) -> None:
        del expected_s
        self.events.append(("planned", str(total), str(reused)))

    def began(self, cell: str, where: str = "") -> None:
        self.events.append(("began", cell, where))

    def stage(self, cell: str, name: str, *, quiet: bool) -> None:
        self.events.append(("stage", cell, name, "quiet" if quiet else ""))

    def advance(self, cell: str, share: float, words: str) -> None:
        self.events.append(("advance", cell, words, f"{share:g}"))

    def note(self, cell: str, text: str) -> None:
        self.events.append(("note", cell, text))

    def ended(self, result: CellResult) -> None:
        self.events.append(("ended", result.name.id))

    def load(self, used_bytes: int, admitted_bytes: int) -> None:
        self.loads.append((used_bytes, admitted_bytes))

    def tick(self) -> None:
        pass

    def of(self, kind: str) -> list[tuple[str, ...]]:
        """The events of one kind."""
        return [event for event in self.events if event[0] == kind]


_WATCHES: type[MatrixWatcher] = Seen


def work(
    request: CellRequest, watcher: Watcher, lease: Lease, turns: Turns | None = None
) -> CellResult:
    """Do what the model's name says."""
    what, _, rest = request.model.partition(" ")
    watcher.stage(f"Build {os.getpid()}")
    if what == "board":
        return _on_board(request, watcher, (lease, turns), rest.split())
    if what == "measure":
        _measure(float(rest), request, lease)
    if what in {"die", "hang", "flood"}:
        _misbehave(what, rest, Path(request.store).parent / f"once-{request.name.id}")
    if what in {"sleep", "spin"}:
        _pass(what, float(rest))
    if what == "family":
        child = subprocess.Popen(["sleep", "60"], start_new_session=True)
        Path(request.store).with_name("family").write_text(f"{os.getpid()} {child.pid}")
        time.sleep(60)
    if what == "full" and FULL in os.environ:
        with storage_errors("writing", Path("/dev/full")):
            Path("/dev/full").write_bytes(b"x" * 8192)
    if what == "another's":
        request = msgspec.structs.replace(request, key="f" * 64)
    return result_of(request)


def serve_or_fail(
    request: CellRequest, watcher: Watcher, lease: Lease, turns: Turns | None = None
) -> CellResult:
    """The work, with errors as the real one gives them."""
    try:
        return work(request, watcher, lease, turns)
    except DeployoptError as error:
        return failed(request, error)


def _pass(what: str, seconds: float) -> None:
    if what == "sleep":
        time.sleep(seconds)
        return
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def _on_board(
    request: CellRequest,
    watcher: Watcher,
    holds: tuple[Lease, Turns | None],
    words: Sequence[str],
) -> CellResult:
    """A cell of the real kind, whose build sleeps, and then asks the board for something.

    In: seconds to build, seconds to measure, and cells that are built before these have passed.
    """
    (build_s, measure_s), others = map(float, words[:2]), words[2:]
    vars(ssh_device)["DELAYS_S"] = (0.1, 0.2)  # nobody waits for a board here

    def built(
        asked: BuildRequest, stages: Watcher, given: None, device: Device | None
    ) -> BuildResult:
        del asked, given
        stages.stage("Build")
        with _noted("built", request):
            time.sleep(build_s)
        stages.stage("Timed", quiet=True)
        with _noted("took", request):
            _await([_left("built", request, other) for other in others])
            time.sleep(measure_s)
            if device is not None:
                device.limits()
        stages.stage("Publish")
        return results.build_result("accepted")

    vars(cells)["run_build"] = built
    return cells.run_cell(request, watcher, *holds)


def _measure(seconds: float, request: CellRequest, lease: Lease) -> None:
    lease.alone()
    with _noted("took", request):
        time.sleep(seconds)


@contextmanager
def _noted(what: str, request: CellRequest) -> Iterator[None]:
    """Leaves a file that says from when to when."""
    began = time.monotonic_ns()
    yield
    _left(what, request, request.name.model).write_text(f"{began} {time.monotonic_ns()}")


def _left(what: str, request: CellRequest, model: str) -> Path:
    return Path(request.store).parent / f"{what}-{model}-{request.name.target}"


def _await(files: Sequence[Path]) -> None:
    end = time.monotonic() + 100
    while time.monotonic() < end and not all(path.exists() for path in files):
        time.sleep(0.05)


def _misbehave(what: str, rest: str, mark: Path) -> None:
    if what == "hang":
        time.sleep(60)
    if what == "flood":
        while True:
            os.write(1, b"nothing " * 8192)
    if rest != "once" or not mark.exists():
        mark.touch()
        os.write(2, b"last words\n")
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:], serve_or_fail))
