"""One cell after another, each watched under its own name."""

from pathlib import Path

import pytest

from deployopt.core.matrix import CellRequest, CellResult
from deployopt.core.watching import Watcher
from deployopt.pipeline.matrix import cell as cells
from deployopt.pipeline.matrix.inline import Inline
from tests.fakes.cells import Seen, cell, result_of


def test_cells_come_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def built(request: CellRequest, watcher: Watcher) -> CellResult:
        watcher.stage("Latency", quiet=True)
        watcher.advance(0.5, "half")
        watcher.note("so")
        return result_of(request)

    monkeypatch.setattr(cells, "run_cell", built)
    seen = Seen()
    found = Inline().results([cell(name=name, store=tmp_path) for name in "ab"], seen)
    assert [one.name.id for one in found] == ["a-rpi4", "b-rpi4"]
    assert seen.events[:4] == [
        ("began", "a-rpi4", ""),
        ("stage", "a-rpi4", "Latency", "quiet"),
        ("advance", "a-rpi4", "half", "0.5"),
        ("note", "a-rpi4", "so"),
    ]
