"""The driver's side of a cluster: words become results, and a lost link is made again."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from deployopt.core.codec import encode_json
from deployopt.core.errors import StorageError, UnreachableError, UsageError
from deployopt.core.matrix import CellRequest, CellResult, Word
from deployopt.pipeline.matrix import ray_crew, ray_executor
from deployopt.pipeline.matrix.ray_executor import RayExecutor
from deployopt.pipeline.matrix.ray_inputs import Listed, Sender
from deployopt.pipeline.matrix.ray_words import (
    Began,
    Done,
    Event,
    Lost,
    Ready,
    Refused,
    Run,
    Unfit,
    Wish,
)
from tests.fakes.cells import Seen, cell, result_of

Answer = Callable[[Run], list[Event]]


class FakeLink:
    """Answers every cell as it is told; `ends` after so many."""

    answer: ClassVar[Answer]
    first: Event = Ready(nodes=("n1", "n2"), cores=1)
    ends_after: int | None = None
    made = 0

    def __init__(self, wish: Wish) -> None:
        type(self).made += 1
        self.wish = wish
        self._events: list[Event] = [self.first]
        self._asked = 0

    def say(self, word: Run) -> None:
        self._asked += 1
        if not self.has_ended():
            self._events += type(self).answer(word)

    def events(self, seconds: float) -> Iterator[Event]:
        del seconds
        found, self._events = self._events, []
        yield from found

    def has_ended(self) -> bool:
        return self.ends_after is not None and self._asked > self.ends_after

    def said(self) -> str:
        return "it burst."

    def stop(self) -> None:
        pass


def done(run: Run, node: str = "n1", found: CellResult | None = None) -> Done:
    result = result_of(run.cell) if found is None else found
    return Done(cell=run.cell.name.id, node=node, result=msgspec.Raw(encode_json(result)))


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> type[FakeLink]:
    class Mine(FakeLink):
        answer: ClassVar[Answer] = lambda run: [done(run)]

    monkeypatch.setattr(ray_crew, "Link", Mine)
    monkeypatch.setattr(ray_executor, "find_spec", lambda _: object())
    monkeypatch.setattr(ray_crew, "_RECONNECTS", (0.0, 0.0, 0.0))
    return Mine


def results(cells: list[CellRequest], seen: Seen | None = None) -> dict[str, CellResult]:
    executor = RayExecutor("h:1")
    return {one.name.model: one for one in executor.results(cells, seen or Seen())}


@pytest.fixture
def cells(tmp_path: Path) -> list[CellRequest]:
    return [cell(name=name, store=tmp_path / "store") for name in "ab"]


def test_what_a_node_did_is_a_result_with_its_name(
    link: type[FakeLink], cells: list[CellRequest]
) -> None:
    link.answer = lambda run: [Began(cell=run.cell.name.id, node="n2"), done(run, "n2")]
    seen = Seen()
    found = results(cells, seen)
    assert {(one.word, one.node, one.attempts) for one in found.values()} == {
        (Word.ACCEPTED, "n2", 1)
    }
    assert ("began", "a-rpi4", "n2") in seen.events


def test_a_cell_that_was_lost_avoids_the_node_and_is_given_up_in_the_end(
    link: type[FakeLink], cells: list[CellRequest]
) -> None:
    runs: list[Run] = []

    def answer(run: Run) -> list[Event]:
        runs.append(run)
        if run.cell.name.model == "b":
            return [done(run, found=result_of(run.cell, key="f" * 64))]
        if len(run.avoid) < 2:
            return [Lost(cell=run.cell.name.id, node=f"n{len(run.avoid)}", reason="it died.")]
        return [done(run, "n2")]

    link.answer = answer
    found = results(cells)
    assert (found["a"].word, found["a"].attempts) == (Word.ACCEPTED, 3)
    assert [run.avoid for run in runs if run.cell.name.model == "a"] == [(), ("n0",), ("n0", "n1")]
    assert (found["b"].word, found["b"].attempts) == (Word.FAILED, 3)
    assert "it gave the result of another cell" in (found["b"].error or "")


def test_what_fits_no_node_and_what_is_nonsense(
    link: type[FakeLink], cells: list[CellRequest]
) -> None:
    def answer(run: Run) -> list[Event]:
        name = run.cell.name.id
        if name.startswith("a"):
            return [Unfit(cell=name, reason="It is too large."), done(run)]
        return [Done(cell=name, node="n1", result=msgspec.Raw(b'{"any":1}'))]

    link.answer = answer
    found = results(cells)
    assert (found["a"].word, found["a"].error) == (Word.FAILED, "It is too large.")
    assert found["b"].word is Word.FAILED


def test_a_cluster_that_cannot_be_used(link: type[FakeLink], cells: list[CellRequest]) -> None:
    for ours, kind in ((True, UsageError), (False, UnreachableError)):
        link.first = Refused(reason="It has other versions.", ours=ours)
        with pytest.raises(kind, match="It has other versions"):
            results(cells)
    assert not list((Path(cells[0].store) / "staging").iterdir())


def test_a_link_that_is_lost_is_made_again_three_times(
    link: type[FakeLink], cells: list[CellRequest]
) -> None:
    link.ends_after = 1
    found = results(cells)
    assert {one.word for one in found.values()} == {Word.ACCEPTED}
    assert link.made == 2
    link.ends_after, link.made = 0, 0
    with pytest.raises(UnreachableError, match=r"was lost .* times: it burst\..*goes on after it"):
        results([cell(name=n, store=Path(cells[0].store)) for n in "abcdefgh"])
    assert link.made == 4


def test_a_cell_that_needs_no_upload_does_not_wait_for_one(
    link: type[FakeLink], cells: list[CellRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do others that are done, nor is the one forgotten whose model travels."""
    model = tmp_path / "model"
    model.write_bytes(b"x")
    travels = msgspec.structs.replace(cells[0], model=str(model))
    may_end = threading.Event()
    given = Sender.sent

    def sent(self: Sender, request: CellRequest) -> Listed:
        if request.model == str(model):
            assert may_end.wait(20)
        return given(self, request)

    monkeypatch.setattr(Sender, "sent", sent)
    said: list[str] = []

    def answer(run: Run) -> list[Event]:
        said.append(run.cell.name.model)
        if said == ["b"]:
            may_end.set()
        return [done(run)]

    link.answer = answer
    found = results([travels, cells[1]])
    assert said == ["b", "a"]
    assert {one.word for one in found.values()} == {Word.ACCEPTED}


def test_an_upload_that_fails_ends_the_call_with_a_paragraph(
    link: type[FakeLink], cells: list[CellRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"x")

    def sent(self: Sender, request: CellRequest) -> Listed:
        del self
        raise StorageError(f"{request.model} could not be put into the share.")

    monkeypatch.setattr(Sender, "sent", sent)
    with pytest.raises(StorageError, match="could not be put into the share"):
        results([msgspec.structs.replace(cells[0], model=str(model))])
    assert link.made == 1


def test_a_bundle_is_brought_while_others_are_given_out(
    link: type[FakeLink], cells: list[CellRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fsspec")
    (tmp_path / "share").mkdir()
    may_come, said = threading.Event(), list[str]()

    def brought(share: str, request: CellRequest, found: CellResult, _: object) -> CellResult | str:
        assert share == str(tmp_path / "share")
        if request.name.model == "a":
            assert may_come.wait(20)
        return found

    def answer(run: Run) -> list[Event]:
        said.append(run.cell.name.model)
        if said[-1] == "c":
            may_come.set()
        return [done(run), done(run)]  # a result that comes twice is one

    monkeypatch.setattr(ray_crew, "bring_result", brought)
    monkeypatch.setattr(ray_crew, "_AHEAD", 1)
    link.answer = answer
    asked = [*cells, cell(name="c", store=tmp_path / "store")]
    shared = [msgspec.structs.replace(one, share=str(tmp_path / "share")) for one in asked]
    found = list(RayExecutor("h:1").results(shared, Seen()))
    assert sorted(one.name.model for one in found) == ["a", "b", "c"]
    assert {one.word for one in found} == {Word.ACCEPTED}
