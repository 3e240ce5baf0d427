"""The executor that gives cells to a Ray cluster: one that is named, or one of its own here.

Ray is spoken to by a process of its own (ray_child.py), so that what Ray prints, waits for or dies
of stays there. A cell whose worker or node is lost is given to another node; a connection that is
lost is made again. Ray has no idea of a measurement: the node's lease keeps that exclusive.
"""

import os
import secrets
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from deployopt.core.errors import IntegrityError, MissingExtraError, UnreachableError, UsageError
from deployopt.core.matrix import CellRequest, CellResult, MatrixWatcher, failed
from deployopt.core.text import safe_text
from deployopt.core.version import VERSION
from deployopt.device.strays import MARK
from deployopt.pipeline.making import tool_versions
from deployopt.pipeline.matrix.boards import NO_BOARDS, Boards
from deployopt.pipeline.matrix.child import WORKER, Bounds, Start
from deployopt.pipeline.matrix.digests import TOOLS
from deployopt.pipeline.matrix.dispatch import Dispatch, Ended, Waiting
from deployopt.pipeline.matrix.memory import TooLargeError
from deployopt.pipeline.matrix.messages import tell
from deployopt.pipeline.matrix.ray_inputs import Sender
from deployopt.pipeline.matrix.ray_link import Link
from deployopt.pipeline.matrix.ray_share import bring_result, check_in_share
from deployopt.pipeline.matrix.ray_words import (
    Began,
    Done,
    Event,
    Lost,
    Ready,
    Refused,
    Run,
    Said,
    Unfit,
    Wish,
    decode,
)
from deployopt.store.layout import Layout
from deployopt.store.short_folders import short_folder
from deployopt.store.staging import staged_folder
from deployopt.store.writing import make_folders, write_new_file

ATTEMPTS: Final = 3
CONNECT_S: Final = 90.0
"""Until the cluster and all its nodes must have answered."""
_AHEAD: Final = 2
"""Cells for each core of the cluster that are given to Ray: one works, one waits."""
_RECONNECTS: Final = (1.0, 5.0, 15.0)
_LOOK_S: Final = 0.5
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
            crew = _Crew(wish, self._most, watcher)
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


class _Crew:
    """The process that speaks to Ray, and the cells that it was given."""

    attempts = ATTEMPTS
    again = "It is tried again."
    abreast = 1

    def __init__(self, wish: Wish, jobs: int | None, watcher: MatrixWatcher) -> None:
        self._wish = wish
        self._jobs = jobs
        self._watcher = watcher
        self._working: dict[str, Waiting] = {}
        self._most = self.cores = 0
        self._nodes: tuple[str, ...] = ()
        self._link: Link | None = None
        self._lost_links = 0
        self._sender = Sender(wish.share)

    @property
    def works(self) -> bool:
        """Whether a cell was given that has not ended."""
        return bool(self._working)

    def admits(self, one: Waiting) -> bool:
        """Ray admits by cores and memory; a few more wait there, so that it need not wait."""
        del one
        return len(self._working) < self._most

    def begin(self, one: Waiting) -> bool:
        """Give it to Ray."""
        if self._link is None:
            return False
        self._working[one.cell.name.id] = one
        inputs, files = self._sender.digests(one.cell), self._sender.sent(one.cell)
        self._link.say(Run(cell=one.cell, avoid=one.avoid, inputs=inputs, files=files))
        return True

    def connect(self) -> None:
        """Reach the cluster.

        Raises:
            UsageError: it is not there, is another version, or a node does not share our folders.
            UnreachableError: it does not answer in time, or failed.
        """
        self._link = link = Link(self._wish)
        deadline = time.monotonic() + CONNECT_S
        while time.monotonic() < deadline:
            self._watcher.tick()
            for event in link.events(_LOOK_S):
                if isinstance(event, Refused):
                    raise _refused(event)
                if isinstance(event, Ready):
                    self.cores = event.cores
                    self._most = self._jobs or _AHEAD * event.cores
                    self._nodes = event.nodes
                    return
            if link.has_ended():
                raise UnreachableError(f"{self._name} could not be used: {link.said()}")
        raise UnreachableError(
            f"{self._name} did not answer within {CONNECT_S:g} s. Try `ray status` there."
        )

    def ended(self) -> Iterator[Ended]:
        """Wait for something to happen; the cells that are done."""
        link = self._link
        if link is None:
            raise ValueError("the cluster was not reached yet")
        for event in link.events(_LOOK_S):
            yield from self._met(event)
        self._watcher.tick()
        if link.has_ended():
            yield from self._connected_again(link)

    def stop(self) -> None:
        """End the process, which cancels what runs; nothing of ours is left."""
        if self._link is not None:
            self._link.stop()
            self._link = None

    @property
    def _name(self) -> str:
        address = self._wish.address
        return "Ray" if address is None else f"The Ray cluster at {address}"

    def _met(self, event: Event) -> Iterator[Ended]:
        if isinstance(event, Refused):
            raise _refused(event)
        if isinstance(event, Ready) or event.cell not in self._working:
            return  # nobody asked, or it came before
        one = self._working[event.cell]
        if isinstance(event, Began):
            where = ", ".join(name for name in (event.node, one.board_name) if name)
            self._watcher.began(event.cell, where)
        elif isinstance(event, Said):
            tell(event.cell, event.message, self._watcher)
        else:
            del self._working[event.cell]
            yield self._over(one, event)

    def _over(self, one: Waiting, event: Done | Lost | Unfit) -> Ended:
        if isinstance(event, Unfit):
            return Ended(waiting=one, found=failed(one.cell, TooLargeError(event.reason)))
        if isinstance(event, Lost):
            reason = f"On {event.node}: {event.reason}"
            return Ended(waiting=one, found=reason, node=event.node)
        found, share = _result(one, event), self._wish.share
        if isinstance(found, CellResult) and share is not None:
            found = bring_result(share, one.cell, found, event.files)
            found = f"On {event.node}: {found}" if isinstance(found, str) else found
        others = [node for node in self._nodes if node not in {*one.avoid, event.node}]
        if isinstance(found, str) or found.error_kind != "StorageError" or not others:
            return Ended(waiting=one, found=found, node=event.node)
        if one.attempt < ATTEMPTS:
            # The disk of one node need not be that of the next.
            return Ended(waiting=one, found=f"On {event.node}: {found.error}", node=event.node)
        return Ended(waiting=one, found=found, node=event.node)

    def _connected_again(self, link: "Link") -> Iterator[Ended]:
        """The process is gone: everything that it was given is lost, and another one begins."""
        said = link.said()
        link.stop()
        lost = list(self._working.values())
        self._working.clear()
        if self._lost_links == len(_RECONNECTS):
            raise UnreachableError(
                f"{self._name} was lost {self._lost_links + 1} times: {said} What was finished is "
                "in the log, and the same command goes on after it."
            )
        time.sleep(_RECONNECTS[self._lost_links])
        self._lost_links += 1
        try:
            self.connect()
        except UsageError as error:
            raise UnreachableError(
                f"{self._name} was lost, and cannot be reached again: {error} What was finished is "
                "in the log, and the same command goes on after it."
            ) from error
        for one in lost:
            yield Ended(waiting=one, found="The connection to the cluster was lost.")


def _result(one: Waiting, event: Done) -> CellResult | str:
    try:
        found = decode(bytes(event.result), CellResult)
    except IntegrityError as error:
        return f"On {event.node}: {error}"
    if found.name != one.cell.name or found.key != one.cell.key:
        return f"On {event.node}: it gave the result of another cell."
    return found


def _refused(event: Refused) -> UsageError | UnreachableError:
    return UsageError(event.reason) if event.ours else UnreachableError(event.reason)
