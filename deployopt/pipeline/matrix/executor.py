"""Who builds the cells: one small protocol, and the table of those that there are.

What an executor is given can be written as JSON and names its inputs by digest or path; what it
gives back are results, in any order, each once. So it may be this process, others of this machine,
or a scheduler's workers elsewhere.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Final, Protocol

from deployopt.core.errors import UsageError
from deployopt.core.matrix import CellRequest, CellResult, MatrixWatcher
from deployopt.core.text import safe_text
from deployopt.pipeline.matrix.inline import Inline
from deployopt.pipeline.matrix.processes import Processes


class Executor(Protocol):
    """Builds cells; one object serves one call."""

    def results(
        self, cells: Sequence[CellRequest], watcher: MatrixWatcher
    ) -> Generator[CellResult, None, None]:
        """A result for every cell, as they come; a cell's failure is a result, too.

        Whatever it started has ended when the iterator is closed.
        """
        ...


EXECUTORS: Final[dict[str, Callable[[int], Executor]]] = {
    "processes": Processes,
    "inline": lambda _: Inline(),
}


def executor_named(name: str, jobs: int) -> Executor:
    """The executor of this name, for so many cells at a time.

    Raises:
        UsageError: there is none.
    """
    if name not in EXECUTORS:
        raise UsageError(
            f"There is no executor {safe_text(name, 40)!r}. There are: {', '.join(EXECUTORS)}."
        )
    return EXECUTORS[name](jobs)
