"""The executor that builds each cell in a process of its own, several at a time.

A cell begins when there is a core and memory for it, and while nobody measures. One whose process
comes to no result is tried once more, with the machine to itself; then that is its failure. The
others go on.
"""

import selectors
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.matrix import CellRequest, CellResult, MatrixWatcher
from deployopt.pipeline.matrix.admission import Admission, Use, free_bytes, resident_bytes
from deployopt.pipeline.matrix.boards import ABREAST, NO_BOARDS, Boards
from deployopt.pipeline.matrix.child import WORKER, Bounds, Child, Start
from deployopt.pipeline.matrix.dispatch import Dispatch, Ended, Waiting
from deployopt.pipeline.matrix.messages import tell
from deployopt.store.layout import Layout
from deployopt.store.leases import Lease, leases_in
from deployopt.store.staging import staged_folder
from deployopt.store.writing import make_folders

_LOOK_S: Final = 0.5
"""Between looks at who lives and whether the next may begin."""
ATTEMPTS: Final = 2


class _Working(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that runs."""

    waiting: Waiting
    child: Child
    stack: ExitStack


class Processes:
    """At most `jobs` at a time."""

    def __init__(
        self,
        jobs: int,
        command: Sequence[str] = WORKER,
        bounds: Bounds = Bounds(),  # noqa: B008 -- frozen
        free: Callable[[], int] = free_bytes,
    ) -> None:
        self._command = command
        self._bounds = bounds
        self._free = free
        self.jobs = jobs
        self.boards: Boards = NO_BOARDS

    def results(
        self, cells: Sequence[CellRequest], watcher: MatrixWatcher
    ) -> Generator[CellResult, None, None]:
        """As they come; those that were begun are stopped when the iterator is closed."""
        start = Start(command=tuple(self._command), bounds=self._bounds)
        crew = _Crew(self.jobs, start, Admission(self._free), watcher)
        try:
            yield from Dispatch(crew, watcher, self.boards).results(cells)
        finally:
            crew.stop()


class _Crew:
    """Those that work now."""

    attempts = ATTEMPTS
    again = "It is tried once more."
    abreast = ABREAST

    def __init__(
        self, jobs: int, start: Start, admission: Admission, watcher: MatrixWatcher
    ) -> None:
        self._jobs = jobs
        self._start = start
        self._admission = admission
        self._watcher = watcher
        self._selector = selectors.DefaultSelector()
        self._working: list[_Working] = []

    @property
    def works(self) -> bool:
        """Whether a cell has begun that has not ended."""
        return bool(self._working)

    def admits(self, one: Waiting) -> bool:
        """Whether a core and memory are free; a second attempt has the machine to itself."""
        if len(self._working) >= self._jobs:
            return False
        return self._admission.admits(one.cell.memory_bytes, self._uses(), alone=one.attempt > 1)

    def begin(self, one: Waiting) -> bool:
        """Start its process, holding the machine's lease for it; False while somebody measures."""
        store = Path(one.cell.store)
        with Lease(leases_in(store)) as lease, ExitStack() as stack:
            if not lease.try_share():
                return False
            staging = Layout(root=store).staging
            make_folders(staging)
            folder = stack.enter_context(staged_folder(staging))
            child = Child(one.cell, folder, lease.hand_over(), self._start)
            stack.callback(child.stop)
            heard = (child.messages, self._hear), (child.output, Child.drain), (child.ending, _met)
            for descriptor, what in heard:
                self._selector.register(descriptor, selectors.EVENT_READ, (child, what))
                stack.callback(self._leave, descriptor)
            self._working.append(_Working(waiting=one, child=child, stack=stack.pop_all()))
        self._watcher.began(one.cell.name.id, one.board_name)
        return True

    def _uses(self) -> list[Use]:
        """Memory of each."""
        return [
            Use(
                predicted_bytes=one.waiting.cell.memory_bytes,
                resident_bytes=resident_bytes(one.child.pid),
                alone=one.waiting.attempt > 1,
            )
            for one in self._working
        ]

    def ended(self) -> Iterator[Ended]:
        """Wait for something to happen; those that are done, with what they came to."""
        for key, _ in self._selector.select(_LOOK_S):
            child, what = key.data
            if not what(child):
                self._leave(key.fd)  # closed; it would be ready for ever
        self._tell_load()
        self._watcher.tick()
        for one in list(self._working):
            trouble = one.child.trouble()
            if trouble is None and not one.child.has_ended():
                continue
            self._hear(one.child)
            one.child.drain()
            found = trouble or one.child.result()
            if isinstance(found, str):
                found = f"{found}.{one.child.said()}"
            self._end(one)
            yield Ended(waiting=one.waiting, found=found)

    def stop(self) -> None:
        """End all of them."""
        for one in list(self._working):
            self._end(one)
        self._selector.close()

    def _tell_load(self) -> None:
        uses = self._uses()
        used = sum(use.resident_bytes for use in uses)
        self._watcher.load(used, sum(max(use.predicted_bytes, use.resident_bytes) for use in uses))

    def _end(self, one: _Working) -> None:
        self._working.remove(one)
        one.stack.close()

    def _hear(self, child: Child) -> bool:
        for message in child.hear():
            tell(child.cell.name.id, message, self._watcher)
        return child.speaks

    def _leave(self, descriptor: int) -> None:
        with suppress(KeyError):
            self._selector.unregister(descriptor)


def _met(_: Child) -> bool:
    """That it has ended is seen when all are looked at; no more comes of this."""
    return False
