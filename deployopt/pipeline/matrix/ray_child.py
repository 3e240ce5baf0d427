"""The process that speaks to Ray: whatever Ray does to it, prints or waits for, the call goes on.

Started as `python -P -m deployopt.pipeline.matrix.ray_child EVENTS PARENT`. In: a Wish and then
Runs as lines of JSON on stdin; the descriptor for events. Out: Events, a line each. It ends when
stdin does, as when the call is killed, or by SIGTERM: what it began is cancelled, and a Ray of its
own is stopped.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from deployopt.core.codec import encode_json
from deployopt.core.errors import ExitCode, IntegrityError
from deployopt.core.matrix import CellRequest
from deployopt.core.units import Dimension, show_quantity
from deployopt.pipeline.matrix.ray_cluster import (
    ID_SHOWN,
    CannotError,
    Node,
    check_nodes,
    connect,
    first_line,
    nodes_now,
)
from deployopt.pipeline.matrix.ray_keeping import Keeping
from deployopt.pipeline.matrix.ray_node import build
from deployopt.pipeline.matrix.ray_words import (
    Began,
    Done,
    Event,
    Job,
    Lost,
    Refused,
    Run,
    Said,
    Unfit,
    Wish,
    decode,
    decode_word,
)
from deployopt.store.staging import remove_tree

_NODES_S: Final = 2.0
"""Between two looks at which nodes live."""
_EMPTY_S: Final = 60.0
"""So long a cluster may be without any node that builds."""
_CANCEL_S: Final = 8.0
_LINE_MAX: Final = 2**24
_LOST: Final = {
    OutOfMemoryError: "its node ran out of memory and Ray killed it",
    WorkerCrashedError: "its worker was killed",
    NodeDiedError: "its node was lost",
}


class Cluster:
    """The cells that run there now."""

    def __init__(self, wish: Wish, events: int) -> None:
        self._wish = wish
        self._events = events
        self._task = ray.remote(num_cpus=1, max_retries=0)(build)
        self._nodes = nodes_now()
        self._names = {node.id: node.name for node in self._nodes.values()}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._streams: dict[str, ray.ObjectRefGenerator] = {}
        self._pending: dict[str, CellRequest] = {}
        """Not begun by any node yet."""
        self._unfitting: set[str] = set()
        """Cancelled, because the nodes that they fit are gone."""
        self._turns = Keeping()
        self._over = asyncio.Event()
        self._fault: BaseException | None = None

    def say(self, event: Event) -> None:
        """One line to the call."""
        write_event(self._events, event)

    async def work(self) -> None:
        """Run what is asked until there is no more to come."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._over.set)
        work = (self._listen(), self._watch(), self._turns.watched())
        tasks = [asyncio.create_task(one) for one in work]
        for task in tasks:
            task.add_done_callback(self._failed)
        await self._over.wait()
        for task in tasks:
            task.cancel()
        await self._cancel()
        if self._fault is not None:
            raise self._fault

    def _failed(self, task: asyncio.Task[None]) -> None:
        """A fault of ours ends everything; it is not a cell's failure."""
        if not task.cancelled() and task.exception() is not None:
            self._fault = task.exception()
            self._over.set()

    async def _listen(self) -> None:
        reader = asyncio.StreamReader(limit=_LINE_MAX)
        protocol = asyncio.StreamReaderProtocol(reader)
        loop = asyncio.get_running_loop()
        lines, _ = await loop.connect_read_pipe(lambda: protocol, sys.stdin)
        with closing(lines):
            while line := await reader.readline():
                run = decode(line, Run)
                name = run.cell.name.id
                self._running[name] = asyncio.create_task(self._follow(run))
                self._running[name].add_done_callback(self._failed)
        self._over.set()

    async def _watch(self) -> None:
        """Which nodes live; a cluster without any is given up, and so is a cell that fits none."""
        empty_s = 0.0
        while True:
            await asyncio.sleep(_NODES_S)
            self._nodes = await asyncio.to_thread(nodes_now)
            self._names |= {node.id: node.name for node in self._nodes.values()}
            empty_s = 0.0 if self._nodes else empty_s + _NODES_S
            if empty_s >= _EMPTY_S:
                self.say(Refused(reason="No node that builds is left in the cluster.", ours=False))
                self._over.set()
            for name, cell in list(self._pending.items()):
                if self._unfit(cell) is not None:
                    self._unfitting.add(name)
                    ray.cancel(self._streams[name], force=False)

    async def _follow(self, run: Run) -> None:
        """Run a cell: pass on what is said of it, and end with one word of how it ended."""
        name, stream = run.cell.name.id, None
        reason = self._unfit(run.cell)
        if reason is None:
            turn = self._turns.begin(run.cell)
            stream = self._submitted(run, turn)
            self._streams[name] = stream
            self._pending[name] = run.cell
            ended = await self._followed(name, stream, turn)
            reason = self._unfit(run.cell) if name in self._unfitting else None
        for one in (self._streams, self._pending, self._running):
            one.pop(name, None)
        if reason is not None:
            self.say(Unfit(cell=name, reason=reason))
        elif stream is not None and not self._over.is_set():
            self.say(ended)

    async def _followed(self, name: str, stream: ray.ObjectRefGenerator, turn: str) -> Event:
        """Its last word."""
        node, lost = "the cluster", None
        try:
            async for ref in stream:
                word = decode_word(await ref)
                if isinstance(word, Said):
                    self.say(Said(cell=name, message=word.message))
                    continue
                node = self._names.get(word.node, word.node[:ID_SHOWN])
                if isinstance(word, Began):
                    self._pending.pop(name, None)
                    self.say(Began(cell=name, node=node))
                elif isinstance(word, Done):
                    return Done(cell=name, node=node, result=word.result, files=word.files)
                else:
                    return Lost(cell=name, node=node, reason=word.reason)
        except (RayError, IntegrityError) as error:
            lost = error
            words = _LOST.get(type(error)) or first_line(error).rstrip(".")
            return Lost(cell=name, node=node, reason=f"{words}.")
        finally:
            self._turns.end(turn, lost)
        return Lost(cell=name, node=node, reason="its task ended without a word.")

    def _submitted(self, run: Run, turn: str) -> ray.ObjectRefGenerator:
        wish = self._wish
        job = Job(
            cell=run.cell,
            start=wish.start,
            share=wish.share,
            shared=wish.shared,
            inputs=run.inputs,
            files=run.files,
            turn=turn,
            niceness=wish.niceness,
        )
        options: dict[str, object] = {"memory": run.cell.memory_bytes}
        other = self._other_than(run)
        if other is not None:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(other.id, soft=True)
        return self._task.options(**options).remote(encode_json(job))

    def _other_than(self, run: Run) -> Node | None:
        """A living node that has not lost the cell yet and can take it."""
        if not run.avoid:
            return None
        fit = (n for n in self._nodes.values() if n.memory_bytes >= run.cell.memory_bytes)
        return next((node for node in fit if node.name not in run.avoid), None)

    def _unfit(self, cell: CellRequest) -> str | None:
        """Why no node can ever run it, or None."""
        most = max((node.memory_bytes for node in self._nodes.values()), default=None)
        if most is None or cell.memory_bytes <= most:
            return None
        needed, there = (show_quantity(size, Dimension.SIZE) for size in (cell.memory_bytes, most))
        return (
            f"Building {cell.model} is predicted to take {needed} of memory, and the largest node "
            f"of the cluster offers {there}. It was not begun. Add a node with more memory."
        )

    async def _cancel(self) -> None:
        """End what runs; what does not end by itself ends with this process's leave."""
        for stream in self._streams.values():
            with suppress(RayError, ValueError):
                ray.cancel(stream, force=False)
        if self._running:
            await asyncio.wait(self._running.values(), timeout=_CANCEL_S)


def write_event(descriptor: int, event: Event) -> None:
    """One line, whole."""
    data = encode_json(event) + b"\n"
    while data:
        data = data[os.write(descriptor, data) :]


def main(arguments: Sequence[str]) -> int:
    """Serve one call; the exit code says nothing."""
    events, parent = map(int, arguments)
    os.set_inheritable(events, False)  # noqa: FBT003 -- it takes no name
    wish = decode(_first(), Wish)
    try:
        connect(wish)
        ready = check_nodes(wish)
    except CannotError as error:
        write_event(events, Refused(reason=str(error), ours=error.ours))
        ray.shutdown()
        return ExitCode.FAILED
    write_event(events, ready)
    try:
        asyncio.run(Cluster(wish, events).work())
    finally:
        ray.shutdown()
        if wish.address is None and os.getppid() != parent:
            remove_tree(Path(wish.folder))  # whoever made it is gone
    return ExitCode.ACCEPTED


def _first() -> bytes:
    """The first line, and no byte more: the others are read by the loop."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 1)
        if not part:
            break
        line += part
    return line


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
