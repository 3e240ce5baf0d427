"""A foreign graph is opened in a confined process first, because a bad one may crash its readers.

A path goes in; RefusedInputError where `checking_child` says no, dies, or takes too much. What
passed is then parsed here.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.confinement.reader import Bounds, Reader, StoppedError
from deployopt.graph.limits import refuse

DEADLINE_S: Final = 600.0
"""For checking it, opening it and one request."""
REQUEST_S: Final = 120.0
"""For the request: a loop without end is stopped."""
_LEAST_BYTES: Final = 2 * 2**30
_TIMES_FILE: Final = 8
"""Protocol buffers, the checker's copy, the runtime's copies; a graph without weights is light."""
MODULE: Final = "deployopt.graph.checking_child"


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of one file.

    `request_s`: the checker and the runtime try it as well, and one request takes at most so long.
    """

    path: str
    request_s: float | None


def check_in_child(path: Path, bounds: Bounds | None = None) -> None:
    """Raise RefusedInputError unless our limits, the checker and the runtime bear the file."""
    with graph_reader(path, bounds) as reader:
        ask_about(path, reader)


def external_in_child(path: Path) -> tuple[str, ...]:
    """Names of the file's external data, all checked; the graph itself goes by our limits only."""
    with graph_reader(path) as reader:
        return ask_about(path, reader, request_s=None)


def graph_reader(path: Path, bounds: Bounds | None = None) -> Reader:
    """A process that may read the file's folder, with memory for a file of this size."""
    return Reader(MODULE, [path.parent, path.resolve()], bounds or _bounds(path))


def ask_about(
    path: Path, reader: Reader, *, request_s: float | None = REQUEST_S
) -> tuple[str, ...]:
    """Names of the external data of a file that the process bore; else RefusedInputError."""
    question = msgspec.json.encode(Question(path=str(path.absolute()), request_s=request_s))
    try:
        return msgspec.json.decode(reader.ask(question), type=tuple[str, ...])
    except StoppedError as error:
        refuse(path, f"opening it in a process of its own {error}")


def _bounds(path: Path) -> Bounds:
    try:
        beside = sum(one.stat().st_size for one in path.parent.iterdir() if one.is_file())
    except OSError:
        beside = 0
    return Bounds(wall_s=DEADLINE_S, memory_bytes=_LEAST_BYTES + _TIMES_FILE * beside)
