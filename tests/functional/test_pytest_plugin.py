"""`pytest --deployopt-bundle` with a real bundle, and its entry point as it is installed."""

import os
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from tests.fakes.plugin_project import ROOT, run_pytest

HURRIED = """
from tests.fakes.hurried import ROUND_S
from deployopt.device import bundle_measuring
bundle_measuring.MIN_ROUND_S = ROUND_S
"""
OWN = """
import numpy as np

def test_answers(deployopt_bundle):
    (answer,) = deployopt_bundle.predict([np.ones((1, 16), np.float32)])
    assert np.shape(answer.outputs["y"]) == (1, 4)

def test_verdict(deployopt_verdict):
    assert deployopt_verdict.word in {"accepted", "undecided"}
"""


def test_the_entry_point_names_the_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (name, module), *others = project["entry-points"]["pytest11"].items()
    assert others == []
    found = [e.value for e in metadata.entry_points(group="pytest11") if e.name == name]
    if not found and os.environ.get("CI") != "true":
        pytest.skip("this environment's install is older than the entry point")
    assert found == [module]


@pytest.mark.slow
def test_a_real_bundle(mlp_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(HURRIED)
    (tmp_path / "test_own.py").write_text(OWN)
    ended = run_pytest(tmp_path, "--deployopt-bundle", mlp_bundle)
    assert "test_own.py::test_answers PASSED" in ended.out
    assert "test_own.py::test_verdict PASSED" in ended.out
    assert "budgets.json::accuracy_drop PASSED" in ended.out
    assert "budgets.json::artifact PASSED" in ended.out
    if ended.code:
        # A noisy machine leaves latency open, and an open budget fails.
        assert "undecided: latency p95" in ended.out
        assert "settle: " in ended.out
