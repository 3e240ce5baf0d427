"""Cells given out, and given out again."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from deployopt.core.errors import UnreachableError
from deployopt.core.fleet import Board
from deployopt.core.matrix import CellRequest, CellResult, Word, failed
from deployopt.pipeline.matrix.boards import NO_BOARDS, Boards
from deployopt.pipeline.matrix.dispatch import Dispatch, Ended, Waiting
from tests.fakes.cells import Seen, cell, result_of
from tests.unit.pipeline.matrix.test_boards import Kept, board


class Scripted:
    """A crew whose cells come to what the script says of them, one a turn, at most two at once."""

    attempts = 2
    again = "Again."
    abreast = 1

    def __init__(self, script: dict[str, list[str]]) -> None:
        self.script = script
        self.begun: list[Waiting] = []
        self._working: list[Waiting] = []

    @property
    def works(self) -> bool:
        return bool(self._working)

    def admits(self, one: Waiting) -> bool:
        del one
        return len(self._working) < 2

    def begin(self, one: Waiting) -> bool:
        self.begun.append(one)
        self._working.append(one)
        return True

    def ended(self) -> Iterator[Ended]:
        if not self._working:
            return
        one = self._working.pop(0)
        words = self.script.get(one.cell.name.model, [])
        word = words.pop(0) if words else "ok"
        found: CellResult | str = f"it {word}."
        device = one.boards[-1].name if one.boards else None
        if word == "ok":
            found = result_of(one.cell, device=device)
        elif word in {"vanishes", "asks in vain"}:
            error = failed(one.cell, UnreachableError(f"it {word}."))
            found = replace(error, device=device if word == "vanishes" else "elsewhere")
        yield Ended(waiting=one, found=found, node="n1")


def done(
    cells: Sequence[CellRequest], crew: Scripted, boards: Boards = NO_BOARDS
) -> tuple[dict[str, CellResult], Seen]:
    seen = Seen()
    found = {one.name.model: one for one in Dispatch(crew, seen, boards).results(cells)}
    return found, seen


def test_what_is_lost_is_begun_again_elsewhere_a_bounded_number_of_times(tmp_path: Path) -> None:
    crew = Scripted({"a": ["died"], "b": ["died", "hung"]})
    cells = [cell(name=name, store=tmp_path / "store") for name in "abc"]
    found, seen = done(cells, crew)
    assert [found[name].word.value for name in "abc"] == ["accepted", "failed", "accepted"]
    assert [found[name].attempts for name in "abc"] == [2, 2, 1]
    assert "came to no result: it died.; then it hung." in (found["b"].error or "")
    assert ("note", "a-rpi4", "it died. Again.") in seen.events
    assert [one.avoid for one in crew.begun if one.cell.name.model == "a"] == [(), ("n1",)]
    assert found["a"].node == "n1"


def pooled(store: Path, names: str) -> list[CellRequest]:
    return [replace(cell(name=name, store=store), pool="pi") for name in names]


def boards_of(*found: Board) -> Boards:
    return Boards([(one, Kept()) for one in found])


def test_a_cell_has_a_board_for_itself_and_another_when_that_fails(tmp_path: Path) -> None:
    crew = Scripted({"a": ["vanishes"]})
    cells = [*pooled(tmp_path / "store", "abc"), cell(name="d", store=tmp_path / "store")]
    found, seen = done(cells, crew, boards_of(board("one", "pi"), board("two", "pi")))
    assert {name: one.device for name, one in found.items()} == {
        "a": "two", "b": "two", "c": "two", "d": None,
    }  # fmt: skip
    assert found["a"].attempts == 2
    assert [one.name for one in crew.begun[0].cell.boards] == ["one"]
    assert any(
        "one is taken out of the fleet: it vanishes." in event[2] for event in seen.of("note")
    )


def test_two_cells_are_at_work_for_a_board_and_a_lost_one_is_said_once(tmp_path: Path) -> None:
    crew = Scripted({"a": ["vanishes"], "b": ["vanishes"]})
    crew.abreast = 2
    cells = pooled(tmp_path / "store", "abc")
    found, seen = done(cells, crew, boards_of(board("one", "pi"), board("two", "pi")))
    begun = [(one.cell.name.model, [b.name for b in one.boards]) for one in crew.begun]
    assert begun[:2] == [("a", ["one", "two"]), ("b", ["two", "one"])]
    # Each lost the last of its boards, so both are out; the third had its own by then.
    assert {name: one.device for name, one in found.items()} == {"a": None, "b": None, "c": "one"}
    assert len(seen.of("note")) == 2
    crew = Scripted({"a": ["vanishes"], "b": ["vanishes"]})
    crew.abreast = 2
    one, two = board("one", "pi"), board("two", "other")
    found, seen = done(cells, crew, boards_of(one, two))
    assert [found[name].word for name in "abc"] == [Word.FAILED] * 3
    assert len(seen.of("note")) == 1


def test_what_else_is_unreachable_is_no_fault_of_a_board(tmp_path: Path) -> None:
    crew = Scripted({"a": ["asks in vain"]})
    found, seen = done(pooled(tmp_path / "store", "ab"), crew, boards_of(board("one", "pi")))
    assert (found["a"].word, found["a"].device) == (Word.FAILED, None)
    assert (found["b"].word, found["b"].device) == (Word.ACCEPTED, "one")
    assert not seen.of("note")


def test_without_a_board_left_the_cells_of_its_kind_fail_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    crew = Scripted({"a": ["vanishes"]})
    cells = [*pooled(tmp_path / "store", "ab"), cell(name="d", store=tmp_path / "store")]
    found, _ = done(cells, crew, boards_of(board("one", "pi")))
    assert {name: one.word for name, one in found.items()} == {
        "a": Word.FAILED, "b": Word.FAILED, "d": Word.ACCEPTED,
    }  # fmt: skip
    assert found["b"].error == ("The fleet has no board left for target pi. one: it vanishes.")
    assert found["b"].exit_code == 5


def test_a_cell_that_dies_gives_its_board_back(tmp_path: Path) -> None:
    crew = Scripted({"a": ["died", "died"]})
    found, _ = done(pooled(tmp_path / "store", "ab"), crew, boards_of(board("one", "pi")))
    assert [found[name].word.value for name in "ab"] == ["failed", "accepted"]
    assert found["b"].device == "one"
