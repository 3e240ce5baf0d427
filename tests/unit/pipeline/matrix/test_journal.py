"""The log is gone on from when it is whole, and never taken for another thing's."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import IntegrityError, StorageError, UsageError
from deployopt.core.matrix import CellResult, Word
from deployopt.pipeline.matrix.journal import FILE, Journal, NoLog, check_output, only_writer
from tests.fakes.cells import cell, result_of


@pytest.fixture
def rejected(tmp_path: Path) -> CellResult:
    """A result whose page is there."""
    output = tmp_path / "out"
    output.mkdir()
    Journal(output)
    (output / "a.rejected.html").write_text("page")
    return result_of(cell(store=tmp_path / "s"), Word.REJECTED, exit_code=1, page="a.rejected.html")


def test_what_was_added_is_found_by_its_key(rejected: CellResult, tmp_path: Path) -> None:
    Journal(tmp_path / "out").add(rejected)
    again = Journal(tmp_path / "out")
    found = again.done("a-rpi4", rejected.key)
    assert found == msgspec.structs.replace(rejected, reused=True)
    assert again.done("a-rpi4", "0" * 64) is None
    assert again.done("b-rpi4", rejected.key) is None


def test_who_only_looks_leaves_no_trace(rejected: CellResult, tmp_path: Path) -> None:
    Journal(tmp_path / "new", begin=False)
    assert not (tmp_path / "new").exists()
    Journal(tmp_path / "out").add(rejected)
    cut = (tmp_path / "out" / FILE).read_bytes() + b'{"name": half'
    (tmp_path / "out" / FILE).write_bytes(cut)
    assert Journal(tmp_path / "out", begin=False).done("a-rpi4", rejected.key) is not None
    assert (tmp_path / "out" / FILE).read_bytes() == cut


def test_without_a_log_nothing_is_done_before(rejected: CellResult, tmp_path: Path) -> None:
    log = NoLog(tmp_path / "out")
    log.add(rejected)
    assert log.done("a-rpi4", rejected.key) is None


def test_what_is_gone_is_not_done(rejected: CellResult, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "out")
    journal.add(rejected)
    (tmp_path / "out" / "a.rejected.html").unlink()
    assert journal.done("a-rpi4", rejected.key) is None


def test_a_bundle_must_be_the_one_that_was_built(rejected: CellResult, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "out")
    (tmp_path / "out" / "a").mkdir()
    journal.add(msgspec.structs.replace(rejected, page=None, bundle="a", bundle_digest="0" * 64))
    assert journal.done("a-rpi4", rejected.key) is None
    (tmp_path / "out" / "a").rmdir()
    assert journal.done("a-rpi4", rejected.key) is None


def test_a_failure_is_tried_again(rejected: CellResult, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "out")
    journal.add(msgspec.structs.replace(rejected, error="it failed"))
    assert journal.done("a-rpi4", rejected.key) is None


def test_the_last_line_of_a_cell_counts(rejected: CellResult, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "out")
    journal.add(msgspec.structs.replace(rejected, key="1" * 64))
    journal.add(rejected)
    assert Journal(tmp_path / "out").done("a-rpi4", rejected.key) is not None
    assert Journal(tmp_path / "out").done("a-rpi4", "1" * 64) is None


def test_a_torn_line_is_dropped_and_the_next_one_is_whole(
    rejected: CellResult, tmp_path: Path
) -> None:
    path = tmp_path / "out" / FILE
    Journal(tmp_path / "out").add(rejected)
    path.write_bytes(path.read_bytes() + b'{"name":{"mod')
    journal = Journal(tmp_path / "out")
    assert journal.done("a-rpi4", rejected.key) is not None
    journal.add(msgspec.structs.replace(rejected, seconds=2.0))
    again = Journal(tmp_path / "out").done("a-rpi4", rejected.key)
    assert again is not None
    assert again.seconds == 2.0


def test_a_changed_line_is_refused(rejected: CellResult, tmp_path: Path) -> None:
    path = tmp_path / "out" / FILE
    Journal(tmp_path / "out").add(rejected)
    path.write_bytes(path.read_bytes().replace(b'"rejected"', b'"perfect"'))
    with pytest.raises(IntegrityError, match="line 2"):
        Journal(tmp_path / "out")


def test_a_log_of_another_version_is_not_gone_on_from(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"matrix": 2, "made_with": "deployopt 9"}\n')
    with pytest.raises(UsageError, match="deployopt 9"):
        Journal(tmp_path)


def test_another_folder_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="no matrix's"):
        check_output(tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        check_output(tmp_path / "notes.txt")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="no folder"):
        check_output(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["notes.txt"]


def test_a_folder_that_cannot_be_looked_at_is_a_paragraph(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="looking at the output folder"):
        Journal(tmp_path / ("a" * 300))


def test_one_call_writes_at_a_time(tmp_path: Path) -> None:
    with only_writer(tmp_path / "out"):
        with pytest.raises(UsageError, match="Another call"), only_writer(tmp_path / "out"):
            pass
        Journal(tmp_path / "out")
    with only_writer(tmp_path / "out"):
        pass
