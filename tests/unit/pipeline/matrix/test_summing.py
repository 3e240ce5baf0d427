"""Counts are of all cells; a result holds a bounded number of them, the open ones first."""

from pathlib import Path

import msgspec

from deployopt.core.matrix import Word
from deployopt.pipeline.matrix.summing import summed_up
from tests.fakes.cells import cell, result_of


def test_all_are_counted_and_the_foremost_are_kept(tmp_path: Path) -> None:
    good = result_of(cell(store=tmp_path / "store"), steps_made=2, steps_reused=1)
    bad = msgspec.structs.replace(good, word=Word.REJECTED, exit_code=1)
    earlier = msgspec.structs.replace(good, reused=True)
    found = summed_up([good] * 10 + [bad, earlier], output=tmp_path, seconds=1.2345, most=3)
    assert (found.total, len(found.cells), found.reused) == (12, 3, 1)
    assert bad in found.cells
    assert found.counts == {"accepted": 11, "rejected": 1}
    assert (found.steps_made, found.steps_reused) == (22, 11)
    assert (found.exit_code, found.seconds) == (1, 1.234)
