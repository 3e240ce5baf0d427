"""Boards of a fleet: one cell each, out for good when they fail."""

from deployopt.pipeline.matrix.boards import Board, Boards


class Kept:
    """What keeps others off, until it is told otherwise."""

    def __init__(self) -> None:
        self.there = True

    def lasts(self) -> bool:
        return self.there


def board(name: str, *pools: str) -> Board:
    return Board(name=name, address=f"ssh://{name}", pools=pools, claim="c")


def test_a_board_is_one_cell_s_and_then_the_next_one_s() -> None:
    one, two = board("one", "pi"), board("two", "pi", "pi + cooled")
    boards = Boards([(one, Kept()), (two, Kept())])
    assert boards.take("pi") is one
    assert boards.take("pi + cooled") is two
    assert boards.take("pi") is None
    assert not boards.is_lost("pi")
    boards.give_back(two)
    boards.give_back(None)
    assert boards.take("pi") is two


def test_one_that_failed_never_comes_back_and_says_why() -> None:
    one, two = board("one", "pi"), board("two", "pi")
    kept = Kept()
    boards = Boards([(one, Kept()), (two, kept)])
    taken = boards.take("pi")
    assert taken is one
    boards.take_out(one.name, one.pools, "it vanished.")
    boards.give_back(one)
    kept.there = False
    assert boards.take("pi") is None
    assert boards.is_lost("pi")
    assert str(boards.lost_words("pi")) == (
        "The fleet has no board left for target pi. one: it vanished. two: its connection was lost."
    )
    assert boards.is_lost("other")
