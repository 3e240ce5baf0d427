"""Those who run cells on a Ray cluster, as the driver has them: a process that speaks to Ray.

Whatever Ray prints, waits for or dies of stays in that process (ray_child.py). In: cells. Out: what
they came to. A cell whose worker or node is lost is given to another node; a connection that is
lost is made again. What goes through a share goes there beside the rest: no cell waits for it.
"""

import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from deployopt.core.errors import IntegrityError, UnreachableError, UsageError
from deployopt.core.matrix import CellResult, MatrixWatcher, failed
from deployopt.pipeline.matrix.aside import Aside
from deployopt.pipeline.matrix.dispatch import Ended, Waiting
from deployopt.pipeline.matrix.memory import TooLargeError
from deployopt.pipeline.matrix.messages import tell
from deployopt.pipeline.matrix.ray_inputs import Sender
from deployopt.pipeline.matrix.ray_link import Link
from deployopt.pipeline.matrix.ray_share import bring_result
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

ATTEMPTS: Final = 3
CONNECT_S: Final = 90.0
"""Until the cluster and all its nodes must have answered."""
ABREAST: Final = 3
"""Cells at work for each board: one is measured, two are built or wait for their turn."""
_AHEAD: Final = 2
"""Cells for each core of the cluster that are given to Ray: one works, one waits."""
_RECONNECTS: Final = (1.0, 5.0, 15.0)
_LOOK_S: Final = 0.5
_SOON_S: Final = 0.02
"""Between two looks while something is done beside."""


class Crew:
    """The process that speaks to Ray, and the cells that it was given."""

    attempts = ATTEMPTS
    again = "It is tried again."
    abreast = ABREAST

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
        self._sending: Aside[Waiting, Run] = Aside()
        self._bringing: Aside[tuple[Waiting, Done], CellResult | str] = Aside()

    @property
    def works(self) -> bool:
        """Whether a cell was given that has not ended, or whose result is on its way."""
        return bool(self._working) or self._bringing.busy

    def admits(self, one: Waiting) -> bool:
        """Ray admits by cores and memory; a few more wait there, so that it need not wait."""
        del one
        return len(self._working) < self._most

    def begin(self, one: Waiting) -> bool:
        """Give it to Ray."""
        if self._link is None:
            return False
        self._working[one.cell.name.id] = one
        if self._sender.is_ready(one.cell):
            self._link.say(self._run(one))
        else:
            self._sending.do(one, partial(self._run, one))
        return True

    def _run(self, one: Waiting) -> Run:
        """With what must be the same on a node, and what of it can be had from the share."""
        inputs, files = self._sender.digests(one.cell), self._sender.sent(one.cell)
        return Run(cell=one.cell, avoid=one.avoid, inputs=inputs, files=files)

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
        for one, run in self._sending.done():
            if self._working.get(one.cell.name.id) is one:  # else it was lost meanwhile
                link.say(run)
        for (one, done), found in self._bringing.done():
            yield self._over(one, done, found)
        busy = self._sending.busy or self._bringing.busy
        for event in link.events(_SOON_S if busy else _LOOK_S):
            yield from self._met(event)
        self._watcher.tick()
        if link.has_ended():
            yield from self._connected_again(link)

    def stop(self) -> None:
        """End the process, which cancels what runs; nothing of ours is left."""
        if self._link is not None:
            self._link.stop()
            self._link = None
        self._sending.leave()
        self._bringing.leave()

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
            yield from self._done(one, event) if isinstance(event, Done) else [_lost(one, event)]

    def _done(self, one: Waiting, event: Done) -> Iterator[Ended]:
        """What it came to, at once or when what it names was brought."""
        found, share = _result(one, event), self._wish.share
        if isinstance(found, str) or share is None:
            yield self._over(one, event, found)
            return
        self._bringing.do((one, event), partial(bring_result, share, one.cell, found, event.files))

    def _over(self, one: Waiting, event: Done, found: CellResult | str) -> Ended:
        if isinstance(found, str):
            return Ended(waiting=one, found=f"On {event.node}: {found}", node=event.node)
        others = [node for node in self._nodes if node not in {*one.avoid, event.node}]
        if found.error_kind == "StorageError" and others and one.attempt < ATTEMPTS:
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
        return str(error)
    if found.name != one.cell.name or found.key != one.cell.key:
        return "it gave the result of another cell."
    return found


def _lost(one: Waiting, event: Lost | Unfit) -> Ended:
    """Without a result."""
    if isinstance(event, Unfit):
        return Ended(waiting=one, found=failed(one.cell, TooLargeError(event.reason)))
    return Ended(waiting=one, found=f"On {event.node}: {event.reason}", node=event.node)


def _refused(event: Refused) -> UsageError | UnreachableError:
    return UsageError(event.reason) if event.ours else UnreachableError(event.reason)
