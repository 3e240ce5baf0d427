"""Who builds the cells: one small protocol, and the table of those that there are.

What an executor is given can be written as JSON and names its inputs by digest or path; what it
gives back are results, in any order, each once. So it may be this process, others of this machine,
or a scheduler's workers elsewhere.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Final, Protocol

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.matrix import CellRequest, CellResult, MatrixWatcher
from deployopt.core.text import safe_text
from deployopt.pipeline.matrix.boards import Boards
from deployopt.pipeline.matrix.inline import Inline
from deployopt.pipeline.matrix.processes import Processes
from deployopt.pipeline.matrix.ray_executor import RayExecutor

RAY: Final = "ray"


class Gives(Protocol):
    """Gives a result for every cell."""

    def results(
        self, cells: Sequence[CellRequest], watcher: MatrixWatcher
    ) -> Generator[CellResult, None, None]:
        """A result for every cell, as they come; a cell's failure is a result, too.

        Whatever it started has ended when the iterator is closed.
        """
        ...


class Executor(Gives, Protocol):
    """Builds cells; one object serves one call."""

    boards: Boards
    """Those of the fleet; set before results are asked for."""

    @property
    def jobs(self) -> int:
        """Cells at a time, at most."""
        ...


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """How many cells at a time, None where nobody said; which cluster, None for one of our own."""

    jobs: int | None
    cores: int
    ray_address: str | None


EXECUTORS: Final[dict[str, Callable[[Asked], Executor]]] = {
    "processes": lambda asked: Processes(asked.jobs or asked.cores),
    "inline": lambda _: Inline(),
    RAY: lambda asked: RayExecutor(asked.ray_address, asked.jobs),
}


def executor_named(
    name: str, jobs: int | None, *, cores: int = 1, ray_address: str | None = None
) -> Executor:
    """The executor of this name, for so many cells at a time, by default one a core.

    Raises:
        UsageError: there is none, or it takes no address.
        MissingExtraError: it needs what is not installed.
    """
    if name not in EXECUTORS:
        raise UsageError(
            f"There is no executor {safe_text(name, 40)!r}. There are: {', '.join(EXECUTORS)}."
        )
    if ray_address is not None and name != RAY:
        raise UsageError(f"--ray-address goes with --executor ray, and {name} was asked for.")
    return EXECUTORS[name](Asked(jobs=jobs, cores=cores, ray_address=ray_address))
