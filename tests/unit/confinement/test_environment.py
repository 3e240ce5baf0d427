"""What a child process is told."""

import os
from pathlib import Path

import pytest

from deployopt.confinement.environment import bare_environment


def test_only_what_is_named_goes_on_and_paths_are_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/bin")
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["src", "", "/lib"]))
    found = bare_environment(("PATH", "NOT_SET"), {"LC_ALL": "C"})
    assert found == {"PATH": "/bin", "LC_ALL": "C", "PYTHONPATH": f"{tmp_path}/src:/lib"}
    monkeypatch.delenv("PYTHONPATH")
    assert set(bare_environment((), {})) == set()
