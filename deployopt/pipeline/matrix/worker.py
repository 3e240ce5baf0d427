"""The process that builds one cell.

Started as `python -P -m deployopt.pipeline.matrix.worker MESSAGES RESULT PARENT LEASE`. In: the
cell's request as JSON on stdin; a descriptor for messages, the path of the result, the parent's
number, and the descriptor of the machine's lease, held shared already. Out: the result's file,
whole or not there. It dies with its parent; SIGTERM lets it end what it started.
"""

import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from deployopt.confinement.parent import die_with
from deployopt.core.codec import decode_json, encode_json
from deployopt.core.errors import ExitCode
from deployopt.core.matrix import CellRequest, CellResult
from deployopt.core.watching import Watcher
from deployopt.pipeline.matrix.messages import Speaker
from deployopt.store.leases import Lease, leases_in
from deployopt.store.writing import atomic_write_bytes

Work = Callable[[CellRequest, Watcher, Lease], CellResult]


class _TerminatedError(BaseException):
    """SIGTERM came; a BaseException, so that clean-up runs and nothing swallows it."""


def _terminate(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 -- the signal's form
    raise _TerminatedError


def _built(request: CellRequest, watcher: Watcher, lease: Lease) -> CellResult:
    from deployopt.pipeline.matrix.cell import run_cell  # by now nobody is disturbed

    return run_cell(request, watcher, lease)


def serve(arguments: Sequence[str], work: Work = _built) -> int:
    """Build the cell that stdin holds; the exit code only says whether a result was written."""
    messages, path, parent, held = arguments
    die_with(int(parent))
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it says when to end
    request = decode_json(sys.stdin.buffer.read(), CellRequest, where="The cell's request")
    with Lease(leases_in(Path(request.store))) as lease:
        lease.adopt(int(held))
        try:
            result = work(request, Speaker(int(messages)), lease)
        except _TerminatedError:
            return ExitCode.TERMINATED
        atomic_write_bytes(Path(path), encode_json(result))
    return ExitCode.ACCEPTED


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
