"""Cells on a real Ray cluster of two nodes on this machine, with everything that breaks there."""

import json
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
from deployopt.store.leases import Lease, leases_in
from deployopt.store.staging import remove_abandoned
from tests.fakes import hurried_cell, hurried_matrix, models
from tests.fakes.cells import COMMAND, FULL, Seen, cell
from tests.fakes.hurried_matrix import TEXT
from tests.fakes.ray_cluster import MISSING, Cluster, there_is_ray
from tests.fakes.sshd import free_port
from tests.functional.conftest import ROOT, Done, child_environment, invoke_here

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not there_is_ray(), reason=MISSING)]

LINK = ray_link.COMMAND[-1]
"""By which the process is known that speaks to Ray."""


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
    failures = {name: one.error for name, one in found.items() if one.word is not Word.ACCEPTED}
    assert failures.keys() == {"big", "c", "d"}, failures
    assert (found["b"].attempts, found["c"].attempts) == (2, 3)
    assert "killed by SIGKILL" in (found["c"].error or "")
    assert "the result of another cell" in (found["d"].error or "")
    assert "largest node of the cluster offers" in (found["big"].error or "")
    # One node has no space; whichever they began on, they ended on the other.
    assert found["e"].node == found["f"].node
    assert {one.node for one in found.values()} > {found["e"].node}
    assert {event[2] for event in seen.of("began")} >= {one.node for one in found.values()} - {None}
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
    # The other nodes may have been about to answer when the folder was removed.
    _until(lambda: _swept(store / "staging"), 20)


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


def started(folder: Path, *words: object) -> "subprocess.Popen[bytes]":
    """The command, one cell at a time, in a session of its own."""
    command = ["matrix", "m.toml", "--store", "store", "--executor", "ray", "--quiet", "-j", "1"]
    return subprocess.Popen(
        [*hurried_matrix.COMMAND, *command, *map(str, words)], cwd=folder, env=child_environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def stopped(process: "subprocess.Popen[bytes]", number: signal.Signals, *, ray: bool) -> set[int]:
    """Signal it, and with `ray` what speaks to Ray for it; the processes that it had started."""
    children = psutil.Process(process.pid).children(recursive=True)
    speaks = [one for one in children if _speaks(one)]
    for one in [*(speaks if ray else []), process]:
        one.send_signal(number)
    process.wait(90)
    return {one.pid for one in children}


def test_a_driver_that_is_stopped_leaves_no_ray(folder: Path) -> None:
    process = started(folder)
    try:
        _until(lambda: any((folder / "cells").iterdir()), 180)
        pids = stopped(process, signal.SIGTERM, ray=False)
        assert process.wait() == 143
    finally:
        process.kill()
        process.wait()
    pids |= {int(path.name) for path in (folder / "cells").iterdir()}
    _until(lambda: not any(_lives(pid) for pid in pids))


@pytest.mark.parametrize("named", [False, True])
def test_a_driver_that_is_killed_is_gone_on_after(
    folder: Path, address: str, *, named: bool
) -> None:
    """Its second cell is at work: the first is in the log, and what was built in the store.

    With a cluster that is named, what speaks to Ray for it is killed as well: then Ray ends cells.
    """
    given = ("--ray-address", address) if named else ()
    log = folder / "out" / "matrix.jsonl"
    process = started(folder, *given)
    try:
        _until(lambda: len(list((folder / "cells").iterdir())) == 2, 180)
        pids = stopped(process, signal.SIGKILL, ray=named)
        assert process.wait() == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()
    # The cluster's own workers live on; nobody builds any more, nor speaks for who is dead.
    pids |= {int(path.name) for path in (folder / "cells").iterdir()}
    _until(lambda: not any(_lives(pid) for pid in pids))
    with Lease(leases_in(folder / "store")) as lease:
        _until(lease.try_alone, 20)  # a killed process lets go with the last of its threads
    # The cluster's workers remove what they held, or die with it; the rest goes with the next `gc`.
    _until(lambda: _swept(folder / "store" / "staging"), 20)
    first = log.read_bytes()
    assert first.count(b"\n") == 2
    again = matrix(folder, "--store", folder / "store", "--executor", "ray", "-j", "1", *given)
    assert again.code in {1, 3}, again.err
    assert again.json["reused"] == 1
    assert [one["attempts"] for one in again.json["cells"]] == [1, 1]
    # Each step was made once, by whichever call; each result stands in the log once.
    assert again.json["steps_made"] == 0
    assert log.read_bytes().startswith(first)
    names = [json.loads(line)["name"]["variant"] for line in log.read_text().splitlines()[1:]]
    assert sorted(names) == ["small", "usual"]


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
    _until(lambda: not any(_lives(pid) for pid in pids))  # workers notice by themselves
    assert matrix(folder, "--store", folder / "store").json["reused"] == 2


def _speaks(process: psutil.Process) -> bool:
    try:
        return LINK in process.cmdline()
    except psutil.Error:
        return False  # it was gone before it was looked at


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _swept(staging: Path) -> bool:
    """Remove what nobody holds; whether nothing is left."""
    for path in staging.iterdir():
        remove_abandoned(path)
    return not any(staging.iterdir())


def _until(holds: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if callable(holds) and holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that")
