"""The executor that builds each cell in a process of its own, several at a time.

A cell begins when there is a core and memory for it, and while nobody measures. One whose process
comes to no result is tried once more, with the machine to itself; then that is its failure. The
others go on.
"""

import selectors
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.matrix import CellRequest, CellResult, MatrixWatcher, failed
from deployopt.pipeline.matrix.admission import Admission, Use, free_bytes, resident_bytes
from deployopt.pipeline.matrix.child import WORKER, Bounds, Child, LostCellError
from deployopt.pipeline.matrix.messages import tell
from deployopt.store.layout import Layout
from deployopt.store.leases import Lease, leases_in
from deployopt.store.staging import staged_folder
from deployopt.store.writing import make_folders

_LOOK_S: Final = 0.5
"""Between looks at who lives and whether the next may begin."""
ATTEMPTS: Final = 2


class _Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that is to begin."""

    cell: CellRequest
    attempt: int = 1
    reasons: tuple[str, ...] = ()


class _Working(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that runs."""

    waiting: _Waiting
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
        self._jobs = jobs
        self._admission = Admission(free)

    def results(
        self, cells: Sequence[CellRequest], watcher: MatrixWatcher
    ) -> Generator[CellResult, None, None]:
        """As they come; those that were begun are stopped when the iterator is closed."""
        crew = _Crew(self._command, self._bounds, watcher)
        waiting = deque(_Waiting(cell=cell) for cell in cells)
        try:
            while waiting or crew.working:
                while waiting and self._admits(waiting[0], crew) and crew.begin(waiting[0]):
                    waiting.popleft()
                for worked, found in crew.ended():
                    if isinstance(found, CellResult):
                        yield found
                    elif worked.attempt < ATTEMPTS:
                        waiting.append(_once_more(worked, found))
                        watcher.note(worked.cell.name.id, f"{found} It is tried once more.")
                    else:
                        yield _lost(worked, found)
        finally:
            crew.stop()

    def _admits(self, one: _Waiting, crew: "_Crew") -> bool:
        if len(crew.working) >= self._jobs:
            return False
        return self._admission.admits(one.cell.memory_bytes, crew.uses(), alone=one.attempt > 1)


class _Crew:
    """Those that work now."""

    def __init__(self, command: Sequence[str], bounds: Bounds, watcher: MatrixWatcher) -> None:
        self._command = command
        self._bounds = bounds
        self._watcher = watcher
        self._selector = selectors.DefaultSelector()
        self.working: list[_Working] = []

    def begin(self, waiting: _Waiting) -> bool:
        """Start its process, holding the machine's lease for it; False while somebody measures."""
        with Lease(leases_in(Path(waiting.cell.store))) as lease, ExitStack() as stack:
            if not lease.try_share():
                return False
            staging = Layout(root=Path(waiting.cell.store)).staging
            make_folders(staging)
            folder = stack.enter_context(staged_folder(staging))
            child = Child(waiting.cell, folder, lease.hand_over(), self._command, self._bounds)
            stack.callback(child.stop)
            for descriptor, what in ((child.messages, self._hear), (child.output, Child.drain)):
                self._selector.register(descriptor, selectors.EVENT_READ, (child, what))
                stack.callback(self._leave, descriptor)
            self.working.append(_Working(waiting=waiting, child=child, stack=stack.pop_all()))
        self._watcher.began(waiting.cell.name.id)
        return True

    def uses(self) -> list[Use]:
        """Memory of each."""
        return [
            Use(
                predicted_bytes=one.waiting.cell.memory_bytes,
                resident_bytes=resident_bytes(one.child.pid),
                alone=one.waiting.attempt > 1,
            )
            for one in self.working
        ]

    def ended(self) -> Iterator[tuple[_Waiting, CellResult | str]]:
        """Wait for something to happen; those that are done, with what they came to."""
        for key, _ in self._selector.select(_LOOK_S):
            child, what = key.data
            if not what(child):
                self._leave(key.fd)  # closed; it would be ready for ever
        self._watcher.tick()
        for one in list(self.working):
            trouble = one.child.trouble()
            if trouble is None and not one.child.has_ended():
                continue
            self._hear(one.child)
            one.child.drain()
            found = trouble or one.child.result()
            said = one.child.said() if isinstance(found, str) else ""
            self._end(one)
            if isinstance(found, CellResult):
                yield one.waiting, msgspec.structs.replace(found, attempts=one.waiting.attempt)
            else:
                yield one.waiting, f"{found}.{said}"

    def stop(self) -> None:
        """End all of them."""
        for one in list(self.working):
            self._end(one)
        self._selector.close()

    def _end(self, one: _Working) -> None:
        self.working.remove(one)
        one.stack.close()

    def _hear(self, child: Child) -> bool:
        for message in child.hear():
            tell(child.cell.name.id, message, self._watcher)
        return child.speaks

    def _leave(self, descriptor: int) -> None:
        with suppress(KeyError):
            self._selector.unregister(descriptor)


def _once_more(one: _Waiting, reason: str) -> _Waiting:
    return msgspec.structs.replace(one, attempt=one.attempt + 1, reasons=(*one.reasons, reason))


def _lost(one: _Waiting, reason: str) -> CellResult:
    said = (*one.reasons, reason)
    same = set(said)
    words = f"{said[0]} (both times)" if len(same) == 1 else "; then ".join(said)
    error = LostCellError(f"The process that built {one.cell.name.id} came to no result: {words}")
    return failed(one.cell, error, attempts=one.attempt)
