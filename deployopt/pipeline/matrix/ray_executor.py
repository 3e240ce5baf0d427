"""The executor that gives cells to a Ray cluster: one that is named, or one of its own here.

In: cells. Out: their results, as those who run them come to them (ray_crew.py). Ray has no idea of
a measurement: a node's lease, and turns on the boards of a fleet, keep that exclusive.
"""

import os
import secrets
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from deployopt.core.errors import MissingExtraError, UsageError
from deployopt.core.matrix import CellRequest, CellResult, MatrixWatcher
from deployopt.core.text import safe_text
from deployopt.core.version import VERSION
from deployopt.device.strays import MARK
from deployopt.pipeline.making import tool_versions
from deployopt.pipeline.matrix.boards import NO_BOARDS, Boards
from deployopt.pipeline.matrix.child import WORKER, Bounds, Start
from deployopt.pipeline.matrix.digests import TOOLS
from deployopt.pipeline.matrix.dispatch import Dispatch
from deployopt.pipeline.matrix.ray_crew import Crew
from deployopt.pipeline.matrix.ray_share import check_in_share
from deployopt.pipeline.matrix.ray_words import Wish
from deployopt.store.layout import Layout
from deployopt.store.short_folders import short_folder
from deployopt.store.staging import staged_folder
from deployopt.store.writing import make_folders, write_new_file

_PORT_MAX: Final = 65535
_PASSED_ON: Final = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
"""Ray sets them for its workers; a cell gets them as the driver has them."""
_OURS: Final = "DEPLOYOPT_"


class RayExecutor:
    """At most `jobs` at a time; None: as many as the cluster has cores."""

    def __init__(
        self,
        address: str | None = None,
        jobs: int | None = None,
        command: Sequence[str] = WORKER,
        bounds: Bounds = Bounds(),  # noqa: B008 -- frozen
    ) -> None:
        """Raises UsageError and MissingExtraError before anything is started."""
        check_ray(address)
        self._address = address
        self._most = jobs
        self.jobs = jobs or 1
        """At a time; the cluster's cores once it is known, where nobody said."""
        self._start = Start(command=tuple(command), bounds=bounds, environment=_environment())
        self.boards: Boards = NO_BOARDS

    def results(
        self, cells: Sequence[CellRequest], watcher: MatrixWatcher
    ) -> Generator[CellResult, None, None]:
        """As they come; what runs on the cluster is cancelled when the iterator is closed."""
        if not cells:
            return
        # One of our own runs on this machine, where the folders are.
        share = None if self._address is None else cells[0].share
        with ExitStack() as stack:
            wish = Wish(
                address=self._address,
                jobs=self._most or len(os.sched_getaffinity(0)),
                folder=str(stack.enter_context(short_folder())) if self._address is None else "",
                start=self._start,
                share=share,
                shared=_shared(cells, share, stack),
                niceness=os.getpriority(os.PRIO_PROCESS, 0),
                versions={"deployopt": VERSION} | tool_versions(TOOLS),
            )
            crew = Crew(wish, self._most, watcher)
            stack.callback(crew.stop)
            crew.connect()
            self.jobs = self._most or crew.cores
            yield from Dispatch(crew, watcher, self.boards).results(cells)


def check_ray(address: str | None) -> None:
    """Raise where Ray is not installed, or the address is none."""
    if find_spec("ray") is None:
        raise MissingExtraError("--executor ray", "ray")
    if address is None or address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not host or not colon or not port.isascii() or not port.isdigit() or int(port) > _PORT_MAX:
        raise UsageError(
            f"--ray-address {safe_text(address, 80)!r}: write `auto`, or HOST:PORT as `ray start "
            "--head` prints it."
        )


def _environment() -> dict[str, str | None]:
    """Of a cell, whatever Ray's workers have."""
    ours = {name: value for name, value in os.environ.items() if name.startswith(_OURS)}
    return {name: os.environ.get(name) for name in _PASSED_ON} | {
        name: value for name, value in ours.items() if name != MARK
    }


def _shared(cells: Sequence[CellRequest], share: str | None, stack: ExitStack) -> dict[str, str]:
    """A file in each folder that all nodes must share, and what stands in it."""
    if share is not None:
        for folder in {Path(cell.output).parent for cell in cells}:
            make_folders(folder)
        return stack.enter_context(check_in_share(share))
    stores = {Layout(root=Path(cell.store)).staging for cell in cells}
    files = {}
    for folder in sorted(stores | {Path(cell.output).parent for cell in cells}):
        make_folders(folder)
        path = stack.enter_context(staged_folder(folder)) / "shared"
        files[str(path)] = nonce = secrets.token_hex(32)
        write_new_file(path, nonce.encode())
    return files
