"""Results are summed up whatever an executor gives: late, twice, forged or not at all."""

from collections.abc import Generator, Sequence
from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import UsageError
from deployopt.core.matrix import CellRequest, CellResult, MatrixWatcher, Word
from deployopt.core.matrix_file import MatrixFile
from deployopt.pipeline.matrix.journal import Journal
from deployopt.pipeline.matrix.run import MatrixRequest, finish_cells, places_of
from tests.fakes.cells import Seen, cell, result_of


class Given:
    """An executor that gives what it was made with, and keeps what it was asked."""

    def __init__(self, *results: CellResult) -> None:
        self._results = results
        self.asked: list[str] = []

    def results(
        self, cells: Sequence[CellRequest], watcher: MatrixWatcher
    ) -> Generator[CellResult, None, None]:
        del watcher
        self.asked += [one.name.id for one in cells]
        yield from self._results


@pytest.fixture
def cells(tmp_path: Path) -> list[CellRequest]:
    return [cell(name=name, store=tmp_path / "store") for name in "ab"]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Its folder has the pages of both."""
    journal = Journal(tmp_path / "out")
    for name in "ab":
        (tmp_path / "out" / f"{name}.html").write_text("page")
    return journal


def rejected(request: CellRequest) -> CellResult:
    return result_of(request, Word.REJECTED, exit_code=1, page=f"{request.name.model}.html")


def test_an_output_in_nobodys_home_is_a_paragraph(tmp_path: Path) -> None:
    request = MatrixRequest(file=tmp_path / "m.toml")
    with pytest.raises(UsageError, match=r"m\.toml: output: ~nobody-here/out: "):
        places_of(request, MatrixFile(output="~nobody-here/out"))


def test_results_come_in_the_order_of_the_file_and_once(
    cells: list[CellRequest], journal: Journal
) -> None:
    seen = Seen()
    twice = [rejected(cells[1]), rejected(cells[0]), rejected(cells[1])]
    found = finish_cells(cells, Given(*twice), journal, seen)
    assert [one.name.id for one in found] == ["a-rpi4", "b-rpi4"]
    assert [event[1] for event in seen.of("ended")] == ["b-rpi4", "a-rpi4"]
    again = Given()
    assert all(one.reused for one in finish_cells(cells, again, journal, seen))
    assert again.asked == []


@pytest.mark.parametrize(
    "changed",
    [
        {"key": "f" * 64},
        {"page": "other.html"},
        {"page": None, "bundle": "a-rpi4", "bundle_digest": "0" * 64},
        {"page": None},
        {"page": "../out/a.html"},
        {"page": None, "bundle": "b-rpi4", "bundle_digest": "0" * 64},
        {"exit_code": 0},
        {"error": "it went wrong", "exit_code": 0},
        {"error": "it went wrong", "word": Word.ACCEPTED},
    ],
)
def test_an_altered_result_is_refused(
    cells: list[CellRequest], journal: Journal, changed: dict[str, object]
) -> None:
    forged = msgspec.structs.replace(rejected(cells[0]), **changed)
    found = finish_cells(cells, Given(forged, rejected(cells[1])), journal, Seen())
    assert (found[0].word, found[0].exit_code) == (Word.FAILED, 4)
    assert "The result of a-rpi4 " in (found[0].error or "")
    assert found[0].error_kind == "IntegrityError"
    assert found[1].word is Word.REJECTED


def test_a_stranger_is_not_listened_to_and_silence_is_a_failure(
    cells: list[CellRequest], journal: Journal, tmp_path: Path
) -> None:
    stranger = rejected(cell(name="c", store=tmp_path))
    found = finish_cells(cells, Given(stranger, rejected(cells[0])), journal, Seen())
    assert [one.word for one in found] == [Word.REJECTED, Word.FAILED]
    assert found[1].exit_code == 5


def test_a_cell_larger_than_the_machine_is_refused_alone(
    cells: list[CellRequest], journal: Journal
) -> None:
    large = msgspec.structs.replace(cells[0], memory_bytes=2**40)
    executor = Given(rejected(cells[1]))
    found = finish_cells([large, cells[1]], executor, journal, Seen(), memory=lambda: 2**30)
    assert executor.asked == ["b-rpi4"]
    assert found[0].exit_code == 5
    assert "predicted to take 1024 GiB of memory" in (found[0].error or "")
    assert found[1].word is Word.REJECTED


def test_what_was_given_before_an_interrupt_is_kept(
    cells: list[CellRequest], journal: Journal
) -> None:
    class Interrupted(Given):
        def results(
            self, cells: Sequence[CellRequest], watcher: MatrixWatcher
        ) -> Generator[CellResult, None, None]:
            yield from super().results(cells, watcher)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finish_cells(cells, Interrupted(rejected(cells[0])), journal, Seen())
    assert Journal(journal.output).done("a-rpi4", cells[0].key) is not None
