"""Cells on nodes that have nothing in common but a share: a real Ray cluster, a real S3 server."""

import os
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import UsageError
from deployopt.core.matrix import CellRequest, CellResult, Word
from deployopt.pipeline.matrix import ray_crew, ray_share
from deployopt.pipeline.matrix.ray_executor import RayExecutor
from deployopt.store.layout import HOME
from tests.fakes import hurried_matrix, models
from tests.fakes.cells import COMMAND, Seen, cell
from tests.fakes.hurried_matrix import TEXT
from tests.fakes.ray_cluster import MISSING, Cluster, there_is_ray
from tests.fakes.shares import MISSING as NO_SERVER
from tests.fakes.shares import s3_server, there_is_s3
from tests.functional.conftest import ROOT, invoke_here

fsspec = pytest.importorskip("fsspec")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not there_is_ray(), reason=MISSING),
    pytest.mark.skipif(not there_is_s3(), reason=NO_SERVER),
]


class Apart:
    """Two nodes with stores of their own; where root can do it, one sees none of our files."""

    def __init__(self, folder: Path, share: str) -> None:
        self.share = share
        self.homes = [folder / "home-head", folder / "home-other"]
        self.ours = folder / "ours"
        self.ours.mkdir()
        hidden = f'mount -t tmpfs none {self.ours} && exec "$@"'
        within = ["unshare", "-m", "sh", "-c", hidden, "sh"] if os.geteuid() == 0 else []
        self.cluster = Cluster()
        self.cluster.add({HOME: str(self.homes[1])}, within)


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    folder = tmp_path_factory.mktemp("apart")
    with pytest.MonkeyPatch.context() as patch, s3_server(patch) as share:
        patch.setenv(HOME, str(folder / "home-head"))
        patch.setenv("PYTHONPATH", str(ROOT))
        apart = Apart(folder, share)
        try:
            for name, value in apart.cluster.environment.items():
                patch.setenv(name, value)
            yield apart
        finally:
            apart.cluster.stop()


def results(cells: list[CellRequest], apart: Apart) -> dict[str, CellResult]:
    found = RayExecutor(apart.cluster.address, None, COMMAND).results(cells, Seen())
    return {one.name.model: one for one in found}


def test_nodes_build_with_nothing_in_common(
    apart: Apart, mlp: Path, arrays: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(mlp, apart.ours / "mlp.onnx")
    shutil.copy(arrays, apart.ours / "inputs.npz")
    models.write_target(apart.ours / "here.toml")
    (apart.ours / "m.toml").write_text(TEXT)
    hurried_matrix.hurry(monkeypatch)
    given = ("matrix", apart.ours / "m.toml", "--json", "--store", apart.ours / "store")
    there = ("--executor", "ray", "--ray-address", apart.cluster.address, "--share", apart.share)
    done = invoke_here(*given, *there)
    assert done.code in {1, 3}, done.err
    cells = done.json["cells"]
    assert len({one["node"] for one in cells}) == 2
    local = invoke_here(*given, "-o", apart.ours / "local", "--executor", "inline")
    digests = [[one["bundle_digest"] for one in run.json["cells"]] for run in (done, local)]
    assert digests[0] == digests[1]
    out = apart.ours / "out"
    assert (out / "mlp-here-small.rejected.html").is_file()
    assert (out / cells[1]["bundle"] / "manifest.json").is_file()
    # The node without our files has made or found its steps in a store of its own.
    assert list((apart.homes[1] / "store-1" / "objects").iterdir())
    for home in apart.homes:
        assert not list((home / "store-1" / "staging").iterdir())
    assert invoke_here(*given, *there).json["reused"] == 2


def test_what_is_altered_in_the_share_is_refused(
    apart: Apart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the node, which put it there, and the driver."""
    node = tmp_path / "node"
    node.mkdir()
    (node / "a-rpi4.html").write_text("a page")

    def altered(
        share: str, request: CellRequest, result: CellResult, _: object
    ) -> CellResult | str:
        there = msgspec.structs.replace(request, output=str(node / request.name.id))
        named = msgspec.structs.replace(result, page="a-rpi4.html")
        (listed,) = files = ray_share.send_result(share, there, named)
        system = fsspec.filesystem("s3", skip_instance_cache=True)
        system.pipe_file(f"{share.removeprefix('s3://')}/files/{listed.sha256}", b"A page")
        return ray_share.bring_result(share, request, named, files)

    monkeypatch.setattr(ray_crew, "bring_result", altered)
    one = results([_cell(apart, tmp_path)], apart)["a"]
    assert (one.word, one.exit_code) == (Word.FAILED, 4)
    assert "was refused: 'a-rpi4.html' has other bytes" in (one.error or "")
    assert not list((tmp_path / "out").iterdir())


def test_a_share_that_a_node_does_not_reach_is_named(apart: Apart, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives a node another file system")
    share = apart.ours / "share"
    share.mkdir()
    with pytest.raises(UsageError, match=rf"Node \S+ cannot use the share at {share} \("):
        results([_cell(apart, tmp_path, str(share))], apart)


def test_two_nodes_of_one_machine_never_measure_at_the_same_time(
    apart: Apart, tmp_path: Path
) -> None:
    """Nor with stores of their own, whose leases neither sees."""
    given = _cell(apart, tmp_path)
    cells = [
        msgspec.structs.replace(
            given, model="measure 1", key=f"{name:0>64}",
            name=msgspec.structs.replace(given.name, model=name),
        ) for name in "ghij"
    ]  # fmt: skip
    found = results(cells, apart)
    assert {one.word for one in found.values()} == {Word.ACCEPTED}
    assert len({one.node for one in found.values()}) == 2
    took = [path for home in apart.homes for path in home.glob("took-*")]
    spans = sorted(tuple(map(int, path.read_text().split())) for path in took)
    assert len(spans) == len(cells)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))


def _cell(apart: Apart, folder: Path, share: str | None = None) -> CellRequest:
    return msgspec.structs.replace(cell(store=folder / "store"), share=share or apart.share)
