"""Boards of a fleet: a cell or two for each, out for good when they fail."""

import msgspec

from deployopt.core.fleet import Board
from deployopt.pipeline.matrix.boards import Boards
from tests.fakes.results import MACHINE


class Kept:
    """What keeps others off, until it is told otherwise."""

    def __init__(self) -> None:
        self.there = True

    def lasts(self) -> bool:
        return self.there


def board(name: str, *pools: str, cores: int = 2) -> Board:
    machine = msgspec.structs.replace(MACHINE, cores=cores)
    return Board(name=name, address=f"ssh://{name}", pools=pools, claim="c", machine=machine)


def test_a_board_is_one_cell_s_and_then_the_next_one_s() -> None:
    one, two = board("one", "pi"), board("two", "pi", "pi + cooled")
    boards = Boards([(one, Kept()), (two, Kept())])
    assert boards.take("pi") == (one,)
    assert boards.take("pi + cooled") == (two,)
    assert boards.take("pi") == ()
    assert not boards.is_lost("pi")
    boards.give_back((two,))
    boards.give_back(())
    assert boards.take("pi") == (two,)


def test_two_cells_a_board_and_the_one_with_fewer_first() -> None:
    one, two = board("one", "pi"), board("two", "pi")
    boards = Boards([(one, Kept()), (two, Kept())])
    taken = [boards.take("pi", 2) for _ in range(5)]
    assert taken == [(one, two), (two, one), (one, two), (two, one), ()]
    boards.give_back(taken[1])
    assert boards.take("pi", 2) == (two, one)
    assert boards.take("pi", 2) == ()


def test_a_cell_gets_boards_that_are_alike() -> None:
    one, two, three = board("one", "pi"), board("two", "pi", cores=4), board("three", "pi")
    restarted = msgspec.structs.replace(
        three, machine=msgspec.structs.replace(three.machine, kernel="7", governor="powersave")
    )
    boards = Boards([(one, Kept()), (two, Kept()), (restarted, Kept())])
    assert boards.take("pi", 2) == (one, restarted)
    assert boards.take("pi", 2) == (two,)


def test_one_that_failed_never_comes_back_and_says_why() -> None:
    one, two = board("one", "pi"), board("two", "pi")
    kept = Kept()
    boards = Boards([(one, Kept()), (two, kept)])
    taken = boards.take("pi")
    assert taken == (one,)
    assert boards.take_out(one.name, one.pools, "it vanished.")
    assert not boards.take_out(one.name, one.pools, "it vanished again.")
    boards.give_back(taken)
    kept.there = False
    assert boards.take("pi") == ()
    assert boards.is_lost("pi")
    assert str(boards.lost_words("pi")) == (
        "The fleet has no board left for target pi. one: it vanished. two: its connection was lost."
    )
    assert boards.is_lost("other")
