"""Cells of a matrix, and processes that build none: `python -m tests.fakes.cells …` is a worker.

What such a worker does stands in its cell's model: `ok`, `die`, `die once`, `hang`, `flood`,
`another's`, `nonsense`, `spin 0.5`, `family`.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.matrix import CellName, CellRequest, CellResult, MatrixWatcher, Word
from deployopt.core.watching import Watcher
from deployopt.pipeline.matrix.worker import serve
from deployopt.planning.targets import load_target
from deployopt.store.leases import Lease

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

    def planned(self, total: int, reused: int) -> None:
        self.events.append(("planned", str(total), str(reused)))

    def began(self, cell: str) -> None:
        self.events.append(("began", cell))

    def stage(self, cell: str, name: str, *, quiet: bool) -> None:
        self.events.append(("stage", cell, name, "quiet" if quiet else ""))

    def advance(self, cell: str, share: float, words: str) -> None:
        self.events.append(("advance", cell, words, f"{share:g}"))

    def note(self, cell: str, text: str) -> None:
        self.events.append(("note", cell, text))

    def ended(self, result: CellResult) -> None:
        self.events.append(("ended", result.name.id))

    def tick(self) -> None:
        pass

    def of(self, kind: str) -> list[tuple[str, ...]]:
        """The events of one kind."""
        return [event for event in self.events if event[0] == kind]


_WATCHES: type[MatrixWatcher] = Seen


def work(request: CellRequest, watcher: Watcher, lease: Lease) -> CellResult:
    """Do what the model's name says."""
    del lease
    what, _, rest = request.model.partition(" ")
    watcher.stage(f"Build {os.getpid()}")
    if what in {"die", "hang", "flood"}:
        _misbehave(what, rest, Path(request.store).parent / f"once-{request.name.id}")
    if what == "spin":
        end = time.process_time() + float(rest)
        while time.process_time() < end:
            pass
    if what == "family":
        child = subprocess.Popen(["sleep", "60"], start_new_session=True)
        Path(request.store).with_name("family").write_text(f"{os.getpid()} {child.pid}")
        time.sleep(60)
    if what == "another's":
        request = msgspec.structs.replace(request, key="f" * 64)
    return result_of(request)


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
    sys.exit(serve(sys.argv[1:], work))
