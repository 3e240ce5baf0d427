"""Work that would hold up whoever gives out cells, done by a thread beside it.

In: calls with a name each, done one after another. Out: what each came to, as it comes. What was
not begun when it is left is not done; what was begun does not keep the program from ending.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

_N = TypeVar("_N")
_T = TypeVar("_T")


class Aside(Generic[_N, _T]):
    """One thread, begun with the first call."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[tuple[_N, Callable[[], _T]] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[_N, _T | BaseException]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._left = False
        self._begun = self._ended = 0

    @property
    def busy(self) -> bool:
        """Whether something was asked that nobody has heard of yet."""
        return self._ended < self._begun

    def do(self, name: _N, work: Callable[[], _T]) -> None:
        """Do it when all before it is done."""
        if self._thread is None:
            # A daemon: an upload that takes minutes must not keep a call that is stopped.
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        self._begun += 1
        self._asked.put((name, work))

    def done(self) -> Iterator[tuple[_N, _T]]:
        """What was done since; raises what the work raised."""
        with suppress(queue.Empty):
            while True:
                name, found = self._done.get_nowait()
                self._ended += 1
                if isinstance(found, BaseException):
                    raise found
                yield name, found

    def leave(self) -> None:
        """Begin no more."""
        self._left = True
        self._asked.put(None)

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None and not self._left:
            name, work = asked
            try:
                self._done.put((name, work()))
            except BaseException as error:  # noqa: BLE001 -- raised where it is asked for
                self._done.put((name, error))
