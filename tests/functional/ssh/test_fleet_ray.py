"""A fleet's boards, each a real sshd, measured on by cells that a real Ray cluster runs."""

import signal
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import msgspec
import psutil
import pytest

from deployopt.core.codec import decode_toml
from deployopt.core.fleet import FleetFile
from deployopt.core.matrix import CellResult, MatrixWatcher, Word
from deployopt.pipeline.matrix.fleet import OnFleet
from deployopt.pipeline.matrix.ray_executor import RayExecutor
from deployopt.planning.targets import load_target
from tests.fakes import models
from tests.fakes.cells import COMMAND, Seen, cell
from tests.fakes.ray_cluster import MISSING as NO_RAY
from tests.fakes.ray_cluster import Cluster, there_is_ray
from tests.fakes.sshd import MISSING, Sshd, there_is_sshd
from tests.functional.ssh.test_fleet import Watched, both, only_one, span

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not there_is_sshd(), reason=MISSING),
    pytest.mark.skipif(not there_is_ray(), reason=NO_RAY),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three nodes of a core."""
    cluster = Cluster()
    try:
        cluster.add()
        cluster.add()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def address(cluster: Cluster, boards: tuple[Sshd, Sshd], monkeypatch: pytest.MonkeyPatch) -> str:
    """Of the cluster, whose token is known here."""
    assert boards
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    return cluster.address


def on_cluster(
    tmp_path: Path,
    address: str,
    fleet: str,
    watcher: MatrixWatcher,
    models_of: Mapping[str, str],
) -> dict[str, CellResult]:
    """Cells that only ask a board for something: `board BUILD MEASURE`, in seconds."""
    file = decode_toml(fleet.encode(), FleetFile, where="fleet")
    target = load_target(str(models.write_target(tmp_path / "here.toml")))
    cells = [
        msgspec.structs.replace(cell(model, name, store=tmp_path / "store"), target=target,
        pool="here") for name, model in models_of.items()
    ]  # fmt: skip
    found = {}
    for one in OnFleet(RayExecutor(address, None, COMMAND), file).results(cells, watcher):
        watcher.ended(one)
        found[one.name.model] = one
    return found


def accepted(found: Mapping[str, CellResult], device: str = "one") -> None:
    assert {name: (one.word, one.device) for name, one in found.items()} == dict.fromkeys(
        found, (Word.ACCEPTED, device)
    ), {name: one.error for name, one in found.items()}


def test_several_cells_are_built_while_one_is_measured(
    tmp_path: Path, boards: tuple[Sshd, Sshd], address: str
) -> None:
    seen = Seen()
    asked = {"a": "board 0 0 b c", "b": "board 0 1", "c": "board 0 1", "d": "board 0 0"}
    found = on_cluster(tmp_path, address, only_one(boards), seen, asked)
    accepted(found)
    measured = span(tmp_path, "took", "a")
    built = [span(tmp_path, "built", name) for name in "bc"]
    assert all(one[1] <= measured[1] for one in built)
    # Never two on one board, though their nodes have no lease in common there.
    took = sorted(span(tmp_path, "took", name) for name in asked)
    assert all(one[1] <= other[0] for one, other in pairwise(took))
    assert len({one.node for one in found.values()}) > 1
    assert max(one.waited_s for one in found.values()) > 0.5


def test_a_board_that_vanishes_is_taken_out_and_its_cells_go_to_the_other(
    tmp_path: Path, boards: tuple[Sshd, Sshd], address: str
) -> None:
    seen = Watched(boards[1])
    found = on_cluster(tmp_path, address, both(boards), seen, dict.fromkeys("abc", "board 0 1"))
    assert not boards[1].listens()
    accepted(found)
    assert sum(one.attempts > 1 for one in found.values()) >= 1
    (note,) = [event[2] for event in seen.of("note") if "taken out" in event[2]]
    assert note.startswith("two is taken out of the fleet: ")


class _Killed(Seen):
    """Kills the worker of the first cell that measures."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self._cluster = cluster
        self.killed: list[str] = []

    def stage(self, cell: str, name: str, *, quiet: bool) -> None:
        super().stage(cell, name, quiet=quiet)
        if not quiet or self.killed:
            return
        self.killed.append(cell)
        worker = next(event[2] for event in self.of("stage") if event[1] == cell)
        for parent in psutil.Process(int(worker.split()[-1])).parents():
            if "ray::" in " ".join(parent.cmdline()):
                parent.send_signal(signal.SIGKILL)
                return


def test_a_worker_that_is_killed_while_it_measures_leaves_its_board_to_others(
    tmp_path: Path, cluster: Cluster, boards: tuple[Sshd, Sshd], address: str
) -> None:
    seen = _Killed(cluster)
    found = on_cluster(tmp_path, address, only_one(boards), seen, dict.fromkeys("abc", "board 0 4"))
    accepted(found)
    assert len(seen.killed) == 1
    assert sorted(one.attempts for one in found.values()) == [1, 1, 2]
    took = sorted(span(tmp_path, "took", name) for name in "abc")
    assert all(one[1] <= other[0] for one, other in pairwise(took))
