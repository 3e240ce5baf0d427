"""What runs on a node of the cluster: whether it shares our folders, and one cell at a time.

In: bytes of JSON (ray_words.py). Out: such bytes. A cell runs in a process of its own there, as it
does on this machine, which dies with Ray's worker; it begins when nobody measures on that node.
"""

import os
import secrets
import selectors
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.bundle import FileEntry
from deployopt.core.codec import encode_json
from deployopt.core.errors import DeployoptError
from deployopt.core.matrix import CellResult
from deployopt.core.version import VERSION
from deployopt.pipeline.making import tool_versions
from deployopt.pipeline.matrix.child import Child, Start
from deployopt.pipeline.matrix.digests import Inputs
from deployopt.pipeline.matrix.messages import (
    WAITING,
    LetsGo,
    Note,
    Share,
    Stage,
    Told,
    Wants,
)
from deployopt.pipeline.matrix.ray_share import own_folders, seen_in_share, send_result
from deployopt.pipeline.matrix.ray_turns import CellTurns
from deployopt.pipeline.matrix.ray_words import (
    Began,
    Done,
    FromNode,
    Job,
    Look,
    Lost,
    Said,
    Seen,
    decode,
)
from deployopt.store.layout import HOME, Layout
from deployopt.store.leases import Lease, leases_in, leases_of_nodes
from deployopt.store.staging import staged_folder
from deployopt.store.writing import make_folders, write_new_file

_LOOK_S: Final = 0.5
_LEASE_S: Final = 0.2
_TURN_S: Final = 0.25
"""Between two times that a board is asked for."""
_SHARE_S: Final = 0.5
"""Between two shares of a stage: each is an object of the cluster's."""
_NONCE_MAX: Final = 256
_INPUTS: Final = Inputs()
"""A worker of Ray's runs many cells."""


def look(asked: bytes) -> bytes:
    """What stands in the driver's files here; beside each an answer is written."""
    question = decode(asked, Look)
    files: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for name in question.files:
        path = Path(name)
        try:
            if question.share is not None:
                files[name] = seen_in_share(question.share, name, answers=True)
                continue
            files[name] = _read(path)
            write_new_file(path.with_name(f"answer-{secrets.token_hex(8)}"), b"")
        except OSError as error:
            wrong[name] = f"{error.filename}: {error.strerror}"
        except DeployoptError as error:
            wrong[name] = str(error)
    versions = {"deployopt": VERSION} | tool_versions(question.packages)
    return encode_json(Seen(files=files, wrong=wrong, versions=versions))


def build(asked: bytes) -> Iterator[bytes]:
    """Run a cell; what it says, and at last what it came to."""
    from ray import get_runtime_context  # nothing else here is Ray's

    node = str(get_runtime_context().get_node_id())
    job = decode(asked, Job)
    name = job.cell.name.id
    yield encode_json(Began(cell=name, node=node))
    try:
        # Not `yield from map(...)`: whoever reads may send, which a map does not take.
        yield from (encode_json(one) for one in _as_nice(name, job.niceness))
        yield from (encode_json(one) for one in _built(job, node))
    except DeployoptError as error:
        yield encode_json(Lost(cell=name, node=node, reason=str(error)))


def _built(job: Job, node: str) -> Iterator[FromNode]:
    """Whatever this machine does for the cell is done while nobody measures on it.

    Its last word comes when nothing here is held for it any more: who hears it may end the cluster.
    """
    leases = leases_in(Path(job.cell.store)) if job.share is None else leases_of_nodes()
    with Lease(leases) as lease:
        last = yield from _admitted(job, node, lease, leases)
    yield last


def _admitted(
    job: Job, node: str, lease: Lease, leases: Path
) -> Generator[FromNode, None, Lost | Done]:
    """What it says before its last word, which is what this returns."""
    name = job.cell.name.id
    yield from _let_in(name, lease)
    reason = _unshared(job) or (_other_inputs(job) if job.share is None else None)
    if reason is not None:
        return Lost(cell=name, node=node, reason=f"{reason}.")
    with own_folders(job, leases) as cell:
        return (yield from _ran(msgspec.structs.replace(job, cell=cell), node, lease))


def _let_in(name: str, lease: Lease) -> Iterator[FromNode]:
    """Hold the lease together with others, as soon as nobody measures here."""
    if lease.try_share():
        return
    yield Said(cell=name, message=Share(share=0.0, words=WAITING, waits=True))
    while not lease.try_share():
        # A moment at a time, so that the task can be cancelled.
        time.sleep(_LEASE_S)


def _unshared(job: Job) -> str | None:
    """Which folder is not the driver's here."""
    for name, nonce in job.shared.items():
        share = job.share
        try:
            if nonce == (_read(Path(name)) if share is None else seen_in_share(share, name)):
                continue
        except (OSError, DeployoptError) as error:
            if share is not None:
                return f"the share cannot be used: {error}".rstrip(".")
        return f"{share or Path(name).parent.parent} is not shared with this node"
    return None


def _other_inputs(job: Job) -> str | None:
    """Which input is not the driver's here: the result would be another question's."""
    found = _INPUTS.of(job.cell)
    for path, digest in job.inputs.items():
        if found.get(path) != digest:
            what = "is not there" if path not in found else "holds something else there than here"
            return f"{path} {what}; all nodes must see the same files"
    return None


def _ran(job: Job, node: str, lease: Lease) -> Generator[FromNode, None, Lost | Done]:
    """Its process, which has the lease from here on; what it left is looked at with it again."""
    name = job.cell.name.id
    staging = Layout(root=Path(job.cell.store)).staging
    make_folders(staging)
    with staged_folder(staging) as folder, _answering(job) as (turns, answers):
        child = Child(job.cell, folder, lease.hand_over(), _start(job), answers)
        try:
            lease.drop()
            yield from _heard(name, child, turns)
            found = child.trouble() or child.result()
            said = child.said()
        finally:
            child.stop()
            turns.end()
    if not isinstance(found, CellResult):
        return Lost(cell=name, node=node, reason=f"{found}.{said}")
    files: tuple[FileEntry, ...] = ()
    if job.share is not None:
        yield from _let_in(name, lease)
        files = send_result(job.share, job.cell, found)
    return Done(cell=name, node=node, result=msgspec.Raw(encode_json(found)), files=files)


@contextmanager
def _answering(job: Job) -> Iterator[tuple[CellTurns, int | None]]:
    """The cell's turns, and where it reads of them; None where it has no boards."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        turns = CellTurns(job.turn, [board.name for board in job.cell.boards], writing)
        yield turns, reading if job.cell.boards else None
    finally:
        for descriptor in (reading, writing):
            os.close(descriptor)


def _as_nice(name: str, wanted: int) -> Iterator[FromNode]:
    """Ray's workers yield to all others, and so would what is measured in one."""
    found = os.getpriority(os.PRIO_PROCESS, 0)
    if found == wanted:
        return
    try:
        for thread in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, int(thread.name), wanted)
    except PermissionError:
        text = (
            f"Ray runs at niceness {found} on this node, so that what is measured there yields to "
            "all others. Start its nodes with RAY_worker_niceness=0."
        )
        yield Said(cell=name, message=Note(text=text))


def _start(job: Job) -> Start:
    """By this node's Python, wherever the driver's is."""
    command = (sys.executable, *job.start.command[1:])
    environment = dict(job.start.environment)
    if job.share is not None:
        environment.pop(HOME, None)  # the node has a store of its own
    return msgspec.structs.replace(job.start, command=command, environment=environment)


def _heard(name: str, child: Child, turns: CellTurns) -> Iterator[FromNode]:
    """What it says, until it ends or is in trouble."""
    pace = _Pace()
    with _watching(child) as selector:
        while True:
            for key, _ in selector.select(_TURN_S if turns.waits else _LOOK_S):
                if key.fd == child.messages:
                    yield from _passed_on(name, child, turns, pace)
                    open_still = child.speaks
                else:
                    open_still = key.fd == child.output and child.drain()
                if not open_still:
                    selector.unregister(key.fd)
            turns.look()
            if child.trouble() is not None or child.has_ended():
                yield from _passed_on(name, child, turns, pace)
                child.drain()
                return


def _passed_on(name: str, child: Child, turns: CellTurns, pace: "_Pace") -> Iterator[FromNode]:
    """What is for people; what is about turns is answered."""
    for message in child.hear():
        if isinstance(message, Wants | LetsGo):
            turns.hear(message)
        elif pace.lets(message):
            yield Said(cell=name, message=message)


@contextmanager
def _watching(child: Child) -> Iterator[selectors.BaseSelector]:
    with selectors.DefaultSelector() as selector:
        for descriptor in (child.messages, child.output, child.ending):
            selector.register(descriptor, selectors.EVENT_READ)
        yield selector


class _Pace:
    """Lets through what is worth an object of the cluster's; only stages while it is timed."""

    def __init__(self) -> None:
        self._quiet = False
        self._shared_s = 0.0

    def lets(self, message: Told) -> bool:
        """Whether it is passed on."""
        if isinstance(message, Stage):
            self._quiet = message.quiet
            return True
        if not isinstance(message, Share):
            return True
        now = time.monotonic()
        if message.waits:
            return True
        if self._quiet or now - self._shared_s < _SHARE_S:
            return False
        self._shared_s = now
        return True


def _read(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(_NONCE_MAX).decode("ascii", "replace")
