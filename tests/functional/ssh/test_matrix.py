"""A matrix with a device elsewhere, over a real sshd: it measures, under a lease of its own."""

import shutil
from pathlib import Path

import pytest

from tests.fakes import hurried_matrix, models
from tests.fakes.sshd import MISSING, Sshd, there_is_sshd
from tests.functional.conftest import ROOT, invoke_here

pytestmark = pytest.mark.skipif(not there_is_sshd(), reason=MISSING)

TEXT = """
[[model]]
name = "mlp"
model = "./mlp.onnx"
data = "./inputs.npz"
[[target]]
name = "board"
target = "./here.toml"
device = "{url}"
[[target]]
name = "here"
target = "./here.toml"
"""


@pytest.mark.slow
def test_a_device_and_this_machine_are_measured_each_alone(
    client: Sshd, tmp_path: Path, mlp: Path, arrays: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(mlp, tmp_path / "mlp.onnx")
    shutil.copy(arrays, tmp_path / "inputs.npz")
    models.write_target(tmp_path / "here.toml")
    (tmp_path / "m.toml").write_text(TEXT.format(url=client.url))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    hurried_matrix.hurry(monkeypatch)
    done = invoke_here("matrix", tmp_path / "m.toml", "--store", tmp_path / "store", "--json")
    assert done.code in {0, 3}, done.err
    board, here = done.json["cells"]
    assert board["figures"]["memory_peak"]["evidence"] == "measured:target"
    assert board["bundle_digest"] == here["bundle_digest"]
    leases = {path.name for path in (tmp_path / "store" / "leases").iterdir()}
    assert len(leases) == 4
    assert {"this-machine.use", "this-machine.turn"} < leases
