"""A cell asks for its turn by words, and takes the board that it is told."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployopt.core.errors import IntegrityError, UnreachableError
from deployopt.pipeline.matrix.exclusive import place_name
from deployopt.pipeline.matrix.messages import Hearing, LetsGo, Message, Speaker, Wants
from deployopt.pipeline.matrix.turns import AskedTurns, LeasedTurns
from deployopt.store.leases import Lease
from tests.unit.pipeline.matrix.test_boards import board

ONE, TWO = board("one", "pi"), board("two", "pi")


class Asked:
    """Turns whose words are heard here, and whose answers are these."""

    def __init__(self, *answers: bytes) -> None:
        self._reading, writing = os.pipe()
        left = iter(answers)
        self.turns = AskedTurns(Speaker(writing), lambda: next(left, b""))

    def heard(self) -> list[Message]:
        return Hearing().messages(os.read(self._reading, 65536))


def test_a_cell_asks_once_then_waits_and_lets_go() -> None:
    asked = Asked(b"{}\n", b'{"board":"two"}\n')
    turns = asked.turns
    assert turns.found_free([ONE, TWO]) is None
    assert not turns.has_one
    turns.let_go()
    assert turns.waited_for([ONE, TWO]) is TWO
    assert asked.turns.has_one
    turns.let_go()
    turns.let_go()
    assert asked.heard() == [Wants(), Wants(waits=True), LetsGo()]


def test_one_board_is_asked_for_by_its_name() -> None:
    asked = Asked(b'{"board":"one"}\n')
    assert asked.turns.found_free([ONE]) is ONE
    assert asked.heard() == [Wants(board="one")]


@pytest.mark.parametrize("answer", [b"", b'{"board":null}\n', b'{"board":"three"}\n'])
def test_nobody_who_answers_is_no_turn(answer: bytes) -> None:
    with pytest.raises(UnreachableError, match="Whoever keeps the turns of the fleet's boards"):
        Asked(answer).turns.waited_for([ONE])


@pytest.mark.parametrize("answer", [b'{"board":1}\n', b"no JSON\n"])
def test_an_answer_that_is_none_is_refused(answer: bytes) -> None:
    with pytest.raises(IntegrityError, match="What was said of a turn"):
        Asked(answer).turns.found_free([ONE])


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[LeasedTurns, LeasedTurns]]:
    first, second = LeasedTurns(tmp_path), LeasedTurns(tmp_path)
    yield first, second
    first.let_go()
    second.let_go()


def test_leases_are_the_turns_of_cells_on_one_machine(
    pair: tuple[LeasedTurns, LeasedTurns], tmp_path: Path
) -> None:
    first, second = pair
    assert first.found_free([ONE, TWO]) is ONE
    assert second.found_free([ONE]) is None
    assert not second.has_one
    assert second.found_free([ONE, TWO]) is TWO
    with Lease(tmp_path, place_name(TWO.address)) as other:
        assert not other.try_alone()
    second.let_go()
    threading.Timer(0.2, first.let_go).start()
    assert second.waited_for([ONE]) is ONE
    assert second.has_one
