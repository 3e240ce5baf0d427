"""The line of a project's file that sets a budget."""

from pathlib import Path

import pytest

from deployopt.cli.places import budget_places

OWN = '# x\nmodel = "a"\n[budgets]\nlatency_p95 = "1 ms"\n"accuracy_drop"="1 pt"\nlatency = 3\n'


@pytest.fixture(autouse=True)
def no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_the_line_of_each_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "deployopt.toml").write_text(OWN)
    found = budget_places(folder)
    assert {m: p.line for m, p in found.items()} == {"latency_p95": 4, "accuracy_drop": 5}
    assert found["latency_p95"].path == "deployopt.toml"
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    assert budget_places(folder)["latency_p95"].path == "a/b/deployopt.toml"
    monkeypatch.setenv("GITHUB_WORKSPACE", "/elsewhere")
    assert budget_places(folder)["latency_p95"].path == "deployopt.toml"


def test_a_pyproject_and_nothing(tmp_path: Path) -> None:
    assert budget_places(tmp_path) == {}
    (tmp_path / "pyproject.toml").write_text('[tool.deployopt.budgets]\nartifact_size = "1 MB"\n')
    assert budget_places(tmp_path)["artifact_size"].path == "pyproject.toml"


def test_a_file_that_cannot_be_read_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "deployopt.toml").write_bytes(b"latency_p95 = \xff\n")
    assert budget_places(tmp_path) == {}
    (tmp_path / "pyproject.toml").mkdir()
    assert budget_places(tmp_path) == {}
