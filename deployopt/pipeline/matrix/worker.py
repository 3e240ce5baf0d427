"""The process that builds one cell.

Started as `python -P -m deployopt.pipeline.matrix.worker MESSAGES RESULT PARENT LEASE [ANSWERS]`.
In: the cell's request as JSON on stdin; a descriptor for messages, the path of the result, the
parent's number, the descriptor of the machine's lease, held shared already, and one of answers
where the parent keeps the turns of boards. Out: the result's file, whole or not there. It dies with
its parent; SIGTERM lets it end what it started.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from deployopt.confinement.parent import die_with
from deployopt.core.codec import decode_json, encode_json
from deployopt.core.errors import ExitCode
from deployopt.core.matrix import CellRequest, CellResult
from deployopt.core.watching import Watcher
from deployopt.pipeline.matrix.messages import Speaker
from deployopt.store.leases import Lease, leases_in
from deployopt.store.writing import atomic_write_bytes

if TYPE_CHECKING:
    from deployopt.pipeline.matrix.turns import Turns

Work = Callable[[CellRequest, Watcher, Lease, "Turns | None"], CellResult]


class _TerminatedError(BaseException):
    """SIGTERM came; a BaseException, so that clean-up runs and nothing swallows it."""


def _terminate(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 -- the signal's form
    raise _TerminatedError


def _built(
    request: CellRequest, watcher: Watcher, lease: Lease, turns: "Turns | None"
) -> CellResult:
    from deployopt.pipeline.matrix.cell import run_cell  # by now nobody is disturbed

    return run_cell(request, watcher, lease, turns)


def _asked_turns(speaker: Speaker, answers: Sequence[str]) -> "Turns | None":
    if not answers:
        return None
    from deployopt.pipeline.matrix.turns import AskedTurns

    return AskedTurns(speaker, os.fdopen(int(answers[0]), "rb").readline)


def serve(arguments: Sequence[str], work: Work = _built) -> int:
    """Build the cell that stdin holds; the exit code only says whether a result was written."""
    messages, path, parent, held, *answers = arguments
    die_with(int(parent))
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it says when to end
    request = decode_json(sys.stdin.buffer.read(), CellRequest, where="The cell's request")
    speaker = Speaker(int(messages))
    with Lease(leases_in(Path(request.store), request.leases)) as lease:
        lease.adopt(int(held))
        try:
            result = work(request, speaker, lease, _asked_turns(speaker, answers))
        except _TerminatedError:
            return ExitCode.TERMINATED
        atomic_write_bytes(Path(path), encode_json(result))
    return ExitCode.ACCEPTED


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
