"""A cell takes the first board that is free when it measures, and keeps to that one."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import UnreachableError
from deployopt.core.fleet import Board
from deployopt.core.watching import SILENT
from deployopt.device.device import Device, ThisMachine
from deployopt.pipeline.matrix.on_board import BoardStages, OnBoard
from deployopt.pipeline.matrix.turns import LeasedTurns
from deployopt.store.leases import Held, Lease

HERE = ThisMachine()


def board(name: str) -> Board:
    return Board(name=name, address=f"ssh://{name}", pools=("pi",), claim="c", machine=HERE.machine)


class Cells:
    """Cells of one call: their leases lie in one folder."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.reached: list[str] = []
        self._folder = folder
        self._stack = stack

    def on(self, *names: str) -> tuple[OnBoard, Lease]:
        """One that these boards may measure, and its lease of the builder."""
        builder = self._stack.enter_context(Lease(self._folder))
        builder.share()
        boards = [board(name) for name in names]
        return self._stack.enter_context(
            OnBoard(boards, LeasedTurns(self._folder), builder, self._reach)
        ), builder

    @contextmanager
    def _reach(self, board: Board) -> Iterator[Device | None]:
        self.reached.append(board.name)
        yield HERE
        self.reached.append(f"{board.name} left")


@pytest.fixture
def cells(tmp_path: Path) -> Iterator[Cells]:
    with ExitStack() as stack:
        yield Cells(tmp_path, stack)


def name_of(cell: OnBoard) -> str | None:
    return None if cell.board is None else cell.board.name


def test_the_first_free_board_is_taken_when_something_is_asked(cells: Cells) -> None:
    (first, builder), (second, _) = cells.on("one", "two"), cells.on("one", "two")
    assert (first.where, first.machine) == ("a board of the fleet", HERE.machine)
    assert cells.reached == []
    first.limits()
    second.limits()
    assert (name_of(first), name_of(second)) == ("one", "two")
    assert (first.where, builder.held, first.waited_s) == ("ssh://one", Held.SHARED, 0.0)
    # It keeps to the board that it measured on, over the connection that it has.
    first.let_go()
    third, _ = cells.on("one")
    third.limits()
    third.let_go()
    first.limits()
    assert cells.reached == ["one", "two", "one"]


def test_who_waits_for_a_board_keeps_nobody_from_the_builder(cells: Cells, tmp_path: Path) -> None:
    (first, _), (second, builder) = cells.on("one"), cells.on("one")
    first.limits()
    held: list[Held] = []

    def waits() -> None:
        held.append(builder.held)
        threading.Timer(0.2, first.let_go).start()

    second.on_wait = waits
    second.limits()
    assert held == [Held.NOT]
    assert builder.held is Held.SHARED
    assert name_of(second) == "one"
    assert second.waited_s > 0.1
    with Lease(tmp_path) as other:
        assert not other.try_alone()


def test_of_several_the_one_that_is_let_go_first(cells: Cells) -> None:
    (first, _), (second, _), (third, _) = (cells.on("one", "two") for _ in range(3))
    first.limits()
    second.limits()
    third.on_wait = threading.Timer(0.2, second.let_go).start
    third.limits()
    assert name_of(third) == "two"


def test_stages_take_the_board_for_what_is_timed(cells: Cells) -> None:
    (cell, builder), (other, _) = cells.on("one"), cells.on("one", "two")
    stages = BoardStages(SILENT, cell, builder, lambda: None)
    stages.stage("Build")
    assert cells.reached == []
    stages.stage("Latency", quiet=True)
    assert cells.reached == ["one"]
    other.limits()
    assert name_of(other) == "two"
    stages.stage("Publish")
    third, _ = cells.on("one")
    third.limits()
    assert name_of(third) == "one"


def test_another_machine_than_was_looked_at_measures_nothing(tmp_path: Path) -> None:
    looked = msgspec.structs.replace(HERE.machine, cores=HERE.machine.cores + 1)
    changed = msgspec.structs.replace(board("one"), machine=looked)

    @contextmanager
    def reach(_: Board) -> Iterator[Device | None]:
        yield HERE

    with (
        Lease(tmp_path) as builder,
        OnBoard([changed], LeasedTurns(tmp_path), builder, reach) as cell,
        pytest.raises(UnreachableError, match="ssh://one is another machine than when the fleet"),
    ):
        cell.limits()
