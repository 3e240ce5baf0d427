"""Cells on a real Ray cluster of two nodes on this machine, with everything that breaks there."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deployopt.core.errors import UsageError
from deployopt.core.matrix import NOBODY, CellRequest, CellResult, MatrixWatcher, Word
from deployopt.pipeline.matrix import ray_link
from deployopt.pipeline.matrix.digests import Inputs
from deployopt.pipeline.matrix.ray_executor import RayExecutor
from tests.fakes import hurried_cell, hurried_matrix, models
from tests.fakes.cells import COMMAND, FULL, Seen, cell
from tests.fakes.hurried_matrix import TEXT
from tests.fakes.ray_cluster import MISSING, Cluster, there_is_ray
from tests.fakes.sshd import free_port
from tests.functional.conftest import ROOT, Done, child_environment, invoke_here

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not there_is_ray(), reason=MISSING)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head and one more node, whose disk is full for those who try it."""
    cluster = Cluster()
    try:
        cluster.add({FULL: "1"})
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def address(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of the cluster, whose token is known here."""
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return cluster.address


def results(
    cells: list[CellRequest], address: str, watcher: MatrixWatcher = NOBODY
) -> dict[str, CellResult]:
    found = RayExecutor(address, None, COMMAND).results(cells, watcher)
    return {one.name.model: one for one in found}


def test_cells_that_die_or_find_no_space_are_tried_elsewhere(address: str, tmp_path: Path) -> None:
    store, seen = tmp_path / "store", Seen()
    models_of = {
        "a": "ok", "b": "die once", "c": "die", "d": "another's", "e": "full", "f": "full",
        "g": "measure 0.4", "h": "measure 0.4",
    }  # fmt: skip
    cells = [cell(what, name, store=store) for name, what in models_of.items()]
    found = results([*cells, cell(name="big", store=store, memory_bytes=2**50)], address, seen)
    accepted = {name for name, one in found.items() if one.word is Word.ACCEPTED}
    assert accepted == {"a", "b", "e", "f", "g", "h"}
    assert (found["b"].attempts, found["c"].attempts) == (2, 3)
    assert "killed by SIGKILL" in (found["c"].error or "")
    assert "the result of another cell" in (found["d"].error or "")
    assert "largest node of the cluster offers" in (found["big"].error or "")
    # One node has no space; whichever they began on, they ended on the other.
    assert found["e"].node == found["f"].node
    assert {one.node for one in found.values()} > {found["e"].node}
    assert {event[2] for event in seen.of("began")} == {one.node for one in found.values()} - {None}
    assert not list((store / "staging").iterdir())
    # Both nodes are this machine, which one alone measures on at a time.
    one, other = sorted(
        tuple(map(int, (tmp_path / f"took-{name}-rpi4").read_text().split())) for name in "gh"
    )
    assert one[1] <= other[0]


def test_what_cannot_be_used_is_a_paragraph(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [cell(store=tmp_path / "store")]
    began = time.monotonic()
    with pytest.raises(UsageError, match=r"Nothing answers at 127\.0\.0\.1:"):
        results(cells, f"127.0.0.1:{free_port()}")
    assert time.monotonic() - began < 30
    monkeypatch.setattr(ray_link, "COMMAND", (sys.executable, "-m", "tests.fakes.other_ray"))
    with pytest.raises(UsageError, match=r"has other versions.*Ray: 2\..*Ray: 1\.99\.0"):
        results(cells, address)
    assert not list((tmp_path / "store" / "staging").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a node another file system")
def test_a_node_that_does_not_share_the_store_is_named(
    address: str, cluster: Cluster, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    own = f'mount -t tmpfs none {store} && exec "$@"'
    node = cluster.add(within=["unshare", "-m", "sh", "-c", own, "sh"])
    try:
        said = rf"Node \S+ does not share the folder {store}/staging with this machine \("
        with pytest.raises(UsageError, match=said):
            results([cell(store=store)], address)
    finally:
        node.lose()
        cluster.nodes.remove(node)
    assert not list((store / "staging").iterdir())


def test_a_node_that_sees_another_model_builds_nothing(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "ok"
    model.write_text("this one")
    given = Inputs.of

    def of(self: Inputs, request: CellRequest) -> dict[str, str]:
        return dict.fromkeys(given(self, request), "0" * 64)

    monkeypatch.setattr(Inputs, "of", of)
    found = results([cell(str(model), "a", store=tmp_path / "store")], address)["a"]
    assert (found.word, found.attempts) == (Word.FAILED, 3)
    assert f"{model} holds something else there than here" in (found.error or "")


@pytest.fixture
def folder(tmp_path: Path, mlp: Path, arrays: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two cells that need the same steps."""
    shutil.copy(mlp, tmp_path / "mlp.onnx")
    shutil.copy(arrays, tmp_path / "inputs.npz")
    models.write_target(tmp_path / "here.toml")
    (tmp_path / "m.toml").write_text(TEXT)
    (tmp_path / "cells").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv(hurried_cell.COUNTED, str(tmp_path / "cells"))
    hurried_matrix.hurry(monkeypatch)
    return tmp_path


def matrix(folder: Path, *words: object) -> Done:
    return invoke_here("matrix", folder / "m.toml", "--json", *words)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_driver_that_is_stopped_leaves_no_ray(folder: Path, number: signal.Signals) -> None:
    words = ["matrix", "m.toml", "--store", "store", "--executor", "ray", "--quiet", "-j", "1"]
    process = subprocess.Popen(
        [*hurried_matrix.COMMAND, *words], cwd=folder, env=child_environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        _until(lambda: any((folder / "cells").iterdir()))
        started = [one.pid for one in psutil.Process(process.pid).children(recursive=True)]
        process.send_signal(number)
        assert process.wait(40) == {signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    pids = [*started, *(int(path.name) for path in (folder / "cells").iterdir())]
    _until(lambda: not any(_lives(pid) for pid in pids))


def test_a_lost_node_changes_no_digest(
    address: str, cluster: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one here: afterwards the cluster has one node."""
    lost = cluster.nodes[1]
    pids: list[int] = []

    def began(self: object, name: str, where: str = "") -> None:
        del self, name
        here = psutil.Process(lost.raylet().pid) if lost.process.poll() is None else None
        if here is not None and not pids and len({*wheres, where}) > 1:
            pids.extend(one.pid for one in here.children(recursive=True))
            here.send_signal(signal.SIGKILL)
        wheres.append(where)

    wheres: list[str] = []
    monkeypatch.setattr("deployopt.reports.matrix_progress.MatrixProgress.began", began)
    given = ("--executor", "ray", "--ray-address", address)
    done = matrix(folder, "--store", folder / "store", *given)
    assert done.code in {1, 3}, done.err
    assert pids, wheres
    apart = matrix(folder, "--store", folder / "new", "-o", folder / "other")
    digests = [[one["bundle_digest"] for one in run.json["cells"]] for run in (done, apart)]
    assert digests[0] == digests[1]
    assert sum(one["attempts"] for one in done.json["cells"]) == 3
    assert not any(_lives(pid) for pid in pids)
    assert matrix(folder, "--store", folder / "store").json["reused"] == 2


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _until(holds: object) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if callable(holds) and holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that")
