"""Who measures on which board of a fleet, when cells run on the nodes of a cluster."""

import os
from collections.abc import Iterator

import pytest

from deployopt.pipeline.matrix.messages import LetsGo, Wants
from deployopt.pipeline.matrix.ray_turns import CellTurns, Keeper


def test_a_board_is_one_turn_s_until_that_lets_go() -> None:
    keeper = Keeper()
    assert keeper.take("a", ["one"], waits=False) == "one"
    assert keeper.take("b", ["one"], waits=False) is None
    assert keeper.take("b", ["one", "two"], waits=False) == "two"
    # An answer that was lost on the way is given again.
    assert keeper.take("a", ["one"], waits=False) == "one"
    keeper.give("a")
    assert keeper.take("c", ["one"], waits=True) == "one"
    assert keeper.holders() == {"one": "c", "two": "b"}


def test_who_came_first_is_first() -> None:
    keeper = Keeper()
    keeper.take("a", ["one"], waits=False)
    assert [keeper.take(turn, ["one"], waits=True) for turn in "bc"] == [None, None]
    keeper.give("a")
    assert keeper.take("c", ["one"], waits=True) is None
    assert keeper.take("d", ["one"], waits=False) is None
    assert keeper.take("b", ["one"], waits=True) == "one"
    # A board that nobody before it waits for is no reason to stand in the line.
    assert keeper.take("d", ["one", "two"], waits=True) == "two"


def test_a_cell_that_has_ended_gets_nothing_more() -> None:
    keeper = Keeper()
    keeper.take("a", ["one"], waits=False)
    keeper.take("b", ["one"], waits=True)
    keeper.end("b")
    keeper.end("a")
    # It was asked before its worker was killed, and came later.
    assert keeper.take("a", ["one"], waits=True) is None
    assert keeper.take("c", ["one"], waits=False) == "one"


class Pipe:
    """A cell's words, and what it reads."""

    def __init__(self, keeper: Keeper, turn: str) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        self.turns = CellTurns(turn, ["one", "two"], self._writing, lambda: keeper)

    def read(self) -> bytes:
        try:
            return os.read(self._reading, 4096)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)


@pytest.fixture
def pipes() -> Iterator[list[Pipe]]:
    keeper = Keeper()
    made = [Pipe(keeper, turn) for turn in "abc"]
    yield made
    for pipe in made:
        pipe.close()


def test_words_of_cells_are_answered_when_their_turn_comes(pipes: list[Pipe]) -> None:
    first, second, third = pipes
    first.turns.hear(Wants(waits=True))
    second.turns.hear(Wants())
    assert (first.read(), second.read()) == (b'{"board":"one"}\n', b'{"board":"two"}\n')
    third.turns.hear(Wants(board="two"))
    assert third.read() == b'{"board":null}\n'
    third.turns.hear(Wants(board="two", waits=True))
    first.turns.hear(LetsGo())
    third.turns.look()
    assert (third.turns.waits, third.read()) == (True, b"")
    second.turns.end()
    third.turns.look()
    assert (third.turns.waits, third.read()) == (False, b'{"board":"two"}\n')
    third.turns.look()
    assert third.read() == b""


def test_who_ends_waits_no_more(pipes: list[Pipe]) -> None:
    first, second, third = pipes
    first.turns.hear(Wants(board="one"))
    second.turns.hear(Wants(board="one", waits=True))
    second.turns.end()
    first.turns.end()
    third.turns.hear(Wants(board="one"))
    assert third.read() == b'{"board":"one"}\n'
    second.turns.look()
    assert second.read() == b""
