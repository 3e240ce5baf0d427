"""A matrix on the disk whose models are never opened."""

from pathlib import Path

import pytest

from deployopt.core.measurement import Machine
from deployopt.pipeline.matrix.planning import Places
from tests.fakes import models, results

TEXT = """
output = "out"
[budgets]
artifact_size = "9 MiB"
[[model]]
name = "a"
model = "./a"
data = "./a.csv"
[[model]]
name = "demo-sentiment"
[[target]]
name = "here"
target = "./here.toml"
budgets = { latency_p95 = "60 ms" }
[[target]]
name = "rpi4"
"""


@pytest.fixture
def text() -> str:
    return TEXT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds m.toml and what it names."""
    (tmp_path / "m.toml").write_text(TEXT)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.json").write_text("{}")
    (tmp_path / "a" / "model.safetensors").write_bytes(b"0" * 1000)
    (tmp_path / "a.csv").write_text("text,label\n")
    models.write_target(tmp_path / "here.toml")
    return tmp_path


@pytest.fixture
def places(folder: Path) -> Places:
    return Places(where="m.toml", folder=folder, output=folder / "out", store=folder / "store")


@pytest.fixture
def machine() -> Machine:
    return results.MACHINE
