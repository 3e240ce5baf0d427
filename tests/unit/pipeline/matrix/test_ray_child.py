"""The process that speaks to Ray: what a node says, or dies of, becomes one last word a cell."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from deployopt.core.codec import encode_json
from deployopt.core.matrix import CellRequest
from deployopt.pipeline.matrix.child import Start
from deployopt.pipeline.matrix.messages import Stage
from deployopt.pipeline.matrix.ray_words import (
    Began,
    Done,
    Event,
    Job,
    Lost,
    Ready,
    Refused,
    Run,
    Said,
    Unfit,
    Wish,
    decode,
    decode_event,
)
from tests.fakes.cells import cell, result_of
from tests.fakes.sshd import free_port

ray = pytest.importorskip("ray")

from ray.exceptions import NodeDiedError, RayError, WorkerCrashedError  # noqa: E402

from deployopt.pipeline.matrix import ray_child  # noqa: E402
from deployopt.pipeline.matrix.ray_child import Cluster, write_event  # noqa: E402
from deployopt.pipeline.matrix.ray_cluster import CannotError, Node  # noqa: E402

WISH = Wish(jobs=1, folder="", start=Start(), shared={}, versions={}, niceness=0)
GIB = 2**30


def id_of(name: str) -> str:
    return hashlib.sha224(name.encode()).hexdigest()


def node(name: str, memory_bytes: int = GIB) -> Node:
    return Node({"NodeID": id_of(name), "Resources": {"CPU": 2.0, "memory": memory_bytes}}, name)


class Task:
    """What Ray would make of the function: it gives these words, or raises."""

    def __init__(self, words: Sequence[bytes | Exception]) -> None:
        self._words = words
        self.asked: list[Job] = []
        self.told: list[dict[str, object]] = []

    def options(self, **told: object) -> "Task":
        self.told.append(told)
        return self

    def remote(self, asked: bytes) -> AsyncIterator[object]:
        self.asked.append(decode(asked, Job))
        return self._stream()

    async def _stream(self) -> AsyncIterator[object]:
        for word in self._words:
            yield self._come(word)

    async def _come(self, word: bytes | Exception) -> bytes:
        await asyncio.sleep(0)
        if isinstance(word, Exception):
            raise word
        return word


class Turns:
    """Keeps none, and notes what it is told."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, BaseException | None]] = []

    def begin(self, request: CellRequest) -> str:
        return f"turn of {request.name.id}"

    def end(self, turn: str, error: BaseException | None) -> None:
        self.ended.append((turn, error))

    async def watched(self) -> None:
        await asyncio.sleep(60)


class Driver:
    """One cluster of two nodes, and what it said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, words: Sequence[bytes | Exception]) -> None:
        self.task, self.turns = Task(words), Turns()
        self.nodes = {"one": node("one"), "two": node("two", 2 * GIB)}
        self.reading, self.writing = os.pipe()
        monkeypatch.setattr(ray_child, "nodes_now", lambda: self.nodes)
        monkeypatch.setattr(ray_child, "Keeping", lambda: self.turns)
        monkeypatch.setattr(ray, "remote", lambda **_: lambda _: self.task)

    def runs(self, run: Run) -> list[Event]:
        async def follow() -> None:
            await Cluster(WISH, self.writing)._follow(run)

        asyncio.run(follow())
        return self.said()

    def said(self) -> list[Event]:
        os.close(self.writing)
        with os.fdopen(self.reading, "rb") as stream:
            return [decode_event(line) for line in stream]


@pytest.fixture
def request_of(tmp_path: Path) -> CellRequest:
    return cell(store=tmp_path / "store", memory_bytes=GIB)


def began(name: str = "one") -> bytes:
    return encode_json(Began(cell="a-rpi4", node=id_of(name)))


def test_what_a_node_says_is_passed_on_under_its_name(
    monkeypatch: pytest.MonkeyPatch, request_of: CellRequest
) -> None:
    result = msgspec.Raw(encode_json(result_of(request_of)))
    said = Said(cell="another's", message=Stage(name="Latency", quiet=True))
    done = Done(cell="another's", node=id_of("two"), result=result)
    driver = Driver(monkeypatch, [began(), encode_json(said), encode_json(done)])
    found = driver.runs(Run(cell=request_of, inputs={"/m": "0"}))
    # Its own name stands on every word, whatever the node wrote.
    assert found == [
        Began(cell="a-rpi4", node="one"),
        Said(cell="a-rpi4", message=Stage(name="Latency", quiet=True)),
        Done(cell="a-rpi4", node="two", result=result),
    ]
    (job,) = driver.task.asked
    assert (job.cell, job.inputs, job.turn) == (request_of, {"/m": "0"}, "turn of a-rpi4")
    assert driver.task.told == [{"memory": GIB}]
    assert driver.turns.ended == [("turn of a-rpi4", None)]


LAST: dict[str, tuple[Sequence[bytes | Exception], str]] = {
    "killed": ([began(), WorkerCrashedError()], "its worker was killed."),
    "lost": ([began(), NodeDiedError("it is gone")], "its node was lost."),
    "Ray's": ([RayError("Something\nelse")], "Something."),
    "nonsense": ([b'{"type":"exec"}'], "What a node of the cluster said"),
    "silent": ([began()], "its task ended without a word."),
}


@pytest.mark.parametrize("how", LAST)
def test_a_cell_that_came_to_nothing_is_lost_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, request_of: CellRequest, how: str
) -> None:
    words, reason = LAST[how]
    driver = Driver(monkeypatch, words)
    last = driver.runs(Run(cell=request_of))[-1]
    assert isinstance(last, Lost)
    assert reason in last.reason
    assert last.node == ("one" if words[0] == began() else "the cluster")
    ((_, error),) = driver.turns.ended
    assert isinstance(error, NodeDiedError) == (how == "lost")


def test_what_fits_no_node_is_not_begun(
    monkeypatch: pytest.MonkeyPatch, request_of: CellRequest
) -> None:
    driver = Driver(monkeypatch, [])
    large = msgspec.structs.replace(request_of, memory_bytes=3 * GIB)
    (unfit,) = driver.runs(Run(cell=large))
    assert isinstance(unfit, Unfit)
    assert "the largest node of the cluster offers 2.00 GiB" in unfit.reason
    assert (driver.task.asked, driver.turns.ended) == ([], [])


@pytest.mark.parametrize(
    ("avoid", "memory_bytes", "chosen"),
    [((), 1, None), (("one",), 1, "two"), (("two",), 2 * GIB, None), (("one", "two"), 1, None)],
)
def test_a_node_that_lost_the_cell_is_avoided(
    monkeypatch: pytest.MonkeyPatch,
    request_of: CellRequest,
    avoid: tuple[str, ...],
    memory_bytes: int,
    chosen: str | None,
) -> None:
    driver = Driver(monkeypatch, [began()])
    asked = msgspec.structs.replace(request_of, memory_bytes=memory_bytes)
    driver.runs(Run(cell=asked, avoid=avoid))
    (told,) = driver.task.told
    assert getattr(told.get("scheduling_strategy"), "node_id", None) == (chosen and id_of(chosen))


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """What is written there is read as lines from the call."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield writing


class Endless(Task):
    """It says nothing until it is cancelled."""

    def __init__(self) -> None:
        super().__init__([])
        self.begun, self.cancelled = asyncio.Event(), asyncio.Event()

    async def _stream(self) -> AsyncIterator[object]:
        self.begun.set()
        await self.cancelled.wait()
        for word in self._words:
            yield word

    def cancel(self, one: object, *, force: bool) -> None:
        assert (one is not None, force) == (True, False)
        self.cancelled.set()


@pytest.mark.parametrize("how", ["closed", "signal"])
def test_it_ends_with_the_call_and_cancels_what_runs(
    monkeypatch: pytest.MonkeyPatch, request_of: CellRequest, lines: int, how: str
) -> None:
    driver = Driver(monkeypatch, [])
    driver.task = endless = Endless()
    monkeypatch.setattr(ray, "cancel", endless.cancel)

    async def served() -> None:
        working = asyncio.create_task(Cluster(WISH, driver.writing).work())
        os.write(lines, encode_json(Run(cell=request_of)) + b"\n")
        await asyncio.wait_for(endless.begun.wait(), 20)
        if how == "closed":
            os.close(lines)
        else:
            os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(working, 20)

    asyncio.run(served())
    if how == "signal":
        os.close(lines)
    assert endless.cancelled.is_set()
    assert driver.said() == []  # nobody asks any more what became of it


def test_a_fault_of_the_keeper_ends_everything(monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
    driver = Driver(monkeypatch, [])

    async def lost() -> None:
        raise RayError("the keeper is gone")

    monkeypatch.setattr(driver.turns, "watched", lost)
    with pytest.raises(RayError, match="the keeper is gone"):
        asyncio.run(Cluster(WISH, driver.writing).work())
    os.close(lines)
    assert driver.said() == []


def test_a_cluster_without_nodes_is_given_up(monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
    driver = Driver(monkeypatch, [])
    driver.nodes = {}
    monkeypatch.setattr(ray_child, "_NODES_S", 0.01)
    monkeypatch.setattr(ray_child, "_EMPTY_S", 0.05)
    asyncio.run(Cluster(WISH, driver.writing).work())
    os.close(lines)
    assert driver.said() == [
        Refused(reason="No node that builds is left in the cluster.", ours=False)
    ]


@pytest.mark.parametrize("ours", [True, False])
def test_a_cluster_that_cannot_be_used_is_one_word(
    monkeypatch: pytest.MonkeyPatch, *, ours: bool
) -> None:
    def connect(wish: Wish) -> None:
        raise CannotError(f"{wish.address} is not there.", ours=ours)

    shut: list[bool] = []
    reading, writing = os.pipe()
    asked = msgspec.structs.replace(WISH, address="h:1")
    monkeypatch.setattr(ray_child, "_first", lambda: encode_json(asked))
    monkeypatch.setattr(ray_child, "connect", connect)
    monkeypatch.setattr(ray, "shutdown", lambda: shut.append(True))
    assert ray_child.main([str(writing), str(os.getppid())]) != 0
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        assert decode_event(stream.read()) == Refused(reason="h:1 is not there.", ours=ours)
    assert shut


def test_the_folder_of_its_own_ray_is_removed_where_nobody_is_left_to_do_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for parent, left in ((os.getppid(), True), (1, os.getppid() == 1)):
        (tmp_path / "ray").mkdir(exist_ok=True)
        reading, writing = os.pipe()
        asked = msgspec.structs.replace(WISH, folder=str(tmp_path / "ray"))
        monkeypatch.setattr(ray_child, "_first", lambda asked=asked: encode_json(asked))
        monkeypatch.setattr(ray_child, "connect", lambda _: None)
        monkeypatch.setattr(ray_child, "check_nodes", lambda _: Ready(nodes=("n",), cores=2))
        monkeypatch.setattr(ray, "shutdown", lambda: None)
        monkeypatch.setattr(ray_child, "Cluster", lambda *_: _Idle())
        assert ray_child.main([str(writing), str(parent)]) == 0
        os.close(writing)
        with os.fdopen(reading, "rb") as stream:
            assert decode_event(stream.read()) == Ready(nodes=("n",), cores=2)
        assert (tmp_path / "ray").exists() == left


class _Idle:
    async def work(self) -> None:
        pass


def test_the_first_line_is_read_and_no_byte_more() -> None:
    """The real process: nobody listens at the address, and the second line stays unread."""
    reading, writing = os.pipe()
    asked = msgspec.structs.replace(WISH, address=f"127.0.0.1:{free_port()}")
    command = [sys.executable, "-P", "-m", "deployopt.pipeline.matrix.ray_child", str(writing), "1"]
    done = subprocess.run(
        command, input=encode_json(asked) + b"\nmore\n", capture_output=True, pass_fds=[writing],
        check=False, timeout=60,
    )  # fmt: skip
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        (event,) = [decode_event(line) for line in stream]
    assert isinstance(event, Refused)
    assert event.ours
    assert f"Nothing answers at {asked.address}: Connection refused." in event.reason
    assert done.returncode != 0


def test_an_event_is_written_whole() -> None:
    reading, writing = os.pipe()
    write_event(writing, Refused(reason="é" * 1000, ours=True))
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        assert decode_event(stream.read()) == Refused(reason="é" * 1000, ours=True)
