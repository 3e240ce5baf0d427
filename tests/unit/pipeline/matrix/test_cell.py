"""A cell is the existing build: what it finds becomes a result, what it raises a failure."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import (
    DeployoptError,
    IntegrityError,
    StepError,
    UnreachableError,
    UsageError,
)
from deployopt.core.fleet import Board
from deployopt.core.matrix import Word
from deployopt.core.request import BuildRequest
from deployopt.core.result import BuildResult
from deployopt.core.watching import SILENT, Watcher
from deployopt.device.device import Device, ThisMachine
from deployopt.pipeline.matrix import cell as cells
from deployopt.pipeline.matrix.cell import run_cell
from deployopt.pipeline.matrix.exclusive import MachineAlone, place_name
from deployopt.pipeline.matrix.on_board import OnBoard
from deployopt.store.leases import Held, Lease
from tests.fakes import results
from tests.fakes.cells import cell

HERE = ThisMachine()


def test_what_was_found_is_kept_with_its_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[BuildRequest] = []
    held: list[Held] = []
    lease = Lease(tmp_path / "leases")

    def built(
        request: BuildRequest, watcher: Watcher, given: None, device: Device | None
    ) -> BuildResult:
        assert given is None
        assert isinstance(device, MachineAlone)
        asked.append(request)
        for quiet in (False, True):
            watcher.stage("x", quiet=quiet)
            held.append(lease.held)
        found = results.build_result("accepted")
        return msgspec.structs.replace(found, bundle=f"{tmp_path}/out/a", bundle_digest="0" * 64)

    monkeypatch.setattr(cells, "run_build", built)
    request = cell(store=tmp_path / "store")
    found = run_cell(request, SILENT, lease)
    assert held == [Held.SHARED, Held.ALONE]
    assert lease.held is Held.NOT
    assert str(asked[0].output) == request.output
    assert str(asked[0].store) == request.store
    assert (found.word, found.exit_code, found.bundle) == (Word.ACCEPTED, 0, "a")
    assert found.verdict is not None
    checks = {check.metric: check for check in found.verdict.checks}
    assert checks.keys() <= found.figures.keys()
    for metric, check in checks.items():
        figure = found.figures[metric]
        assert (figure.value, figure.upper, figure.evidence) == (
            check.observed,
            check.upper,
            check.evidence,
        )
    assert found.steps_made + found.steps_reused > 0


@pytest.mark.parametrize("kind", [StepError, UsageError, IntegrityError])
def test_an_error_is_the_cells_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[DeployoptError]
) -> None:
    def raises(*_: object) -> None:
        raise kind("It went wrong.")

    monkeypatch.setattr(cells, "run_build", raises)
    found = run_cell(cell(store=tmp_path / "store"), SILENT)
    assert (found.word, found.exit_code) == (Word.FAILED, int(kind.exit_code))
    assert (found.error, found.error_kind) == ("It went wrong.", kind.__name__)


@pytest.mark.parametrize("lost", [False, True])
def test_a_cell_of_a_fleet_says_which_board_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, lost: bool
) -> None:
    boards = tuple(
        Board(name=name, address=f"ssh://{name}", pools=("pi",), claim="c", machine=HERE.machine)
        for name in ("one", "two")
    )
    lease = Lease(tmp_path / "store" / "leases")
    asked: list[object] = []

    @contextmanager
    def reached(address: str, *more: object) -> Iterator[Device]:
        asked.extend((address, more[-1]))
        yield HERE

    def built(
        request: BuildRequest, stages: Watcher, given: None, device: Device | None
    ) -> BuildResult:
        assert given is None
        assert isinstance(device, OnBoard)
        assert str(request.output).endswith("out/a")
        stages.stage("Build")
        assert asked == []
        stages.stage("Latency", quiet=True)
        if lost:
            raise UnreachableError("It was lost.")
        return results.build_result("accepted")

    monkeypatch.setattr(cells, "reached", reached)
    monkeypatch.setattr(cells, "run_build", built)
    request = msgspec.structs.replace(cell(store=tmp_path / "store"), pool="pi", boards=boards)
    found = run_cell(request, SILENT, lease)
    assert asked == ["ssh://one", "c"]
    assert (found.device, found.error_kind) == ("one", "UnreachableError" if lost else None)
    assert lease.held is Held.NOT
    with Lease(tmp_path / "store" / "leases", place_name("ssh://one")) as board:
        assert board.try_alone()


def test_an_interrupt_lets_the_lease_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cells, "run_build", interrupted)
    lease = Lease(tmp_path / "leases")
    with pytest.raises(KeyboardInterrupt):
        run_cell(cell(store=tmp_path / "store"), SILENT, lease)
    assert lease.held is Held.NOT
