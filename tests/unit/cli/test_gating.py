"""`deployopt gate` from the command line: exit codes and bad input."""

import json
import os
from pathlib import Path

import pytest

from deployopt.cli.main import run
from tests.fakes.benchmarks import saved, write_runs


def files(folder: Path, medians: list[float]) -> list[str]:
    return [w for p in write_runs(folder, medians) for w in ("--pytest-benchmark", str(p))]


@pytest.mark.parametrize(("medians", "code"), [([0.008] * 5, 0), ([0.02] * 5, 1), ([0.008], 3)])
def test_exit_codes(
    tmp_path: Path, medians: list[float], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["gate", *files(tmp_path, medians), "--budget", "latency_p95=10ms", "--json"]
    assert run(words) == code
    found = json.loads(capsys.readouterr().out)
    assert found["exit_code"] == code
    assert found["schema_version"] == 1
    assert found["benchmarks"][0]["name"] == "test_it.py::a"


def test_reports_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["gate", *files(tmp_path, [0.02] * 5), "-b", "latency_p95=10ms", "--ci", "github"]
    words += ["--junit", str(tmp_path / "j.xml"), "--metrics", str(tmp_path / "m.txt")]
    assert run(words) == 1
    assert capsys.readouterr().out.startswith("::error title=deployopt%3A rejected%3A latency p95")
    assert "<failure" in (tmp_path / "j.xml").read_text()
    assert (tmp_path / "m.txt").read_text().endswith("# EOF\n")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("", "not a file that pytest-benchmark saved"),
        ("{}", "not a file that pytest-benchmark saved"),
        (json.dumps(saved({"a": [0.1, -0.1]})), "figure 2 is -0.1"),
        (json.dumps(saved({"a": [float("nan")]})), "not a file that pytest-benchmark saved"),
        (json.dumps(saved({"a": []})), "holds no figures"),
    ],
)
def test_bad_files(
    tmp_path: Path, content: str, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "f.json").write_text(content)
    words = ["gate", "--pytest-benchmark", str(tmp_path / "f.json"), "-b", "latency_p95=10ms"]
    assert run(words) == 2
    shown = capsys.readouterr()
    assert part in " ".join(shown.err.split())
    assert "Traceback" not in shown.err
    assert shown.out == ""


def test_bad_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = files(tmp_path, [0.008])
    os.mkfifo(tmp_path / "pipe")
    for words, part in (
        ([], "Give files of one kind"),
        ([*one, "--samples", "x"], "Give files of one kind"),
        (one, "no budget"),
        ([*one, "-b", "latency_p95=10"], "latency_p95"),
        ([*one, "-b", "artifact_size=1MB"], "artifact_size cannot be judged from timings"),
        ([*one, "-b", "latency_p95=1ms", "--benchmark", "b"], "is called 'b'"),
        (["--samples", str(tmp_path / "pipe"), "-b", "latency_p95=1ms"], "There is no file"),
        (["--samples", "x", "--benchmark", "b", "-b", "latency_p95=1ms"], "--samples has one"),
    ):
        assert run(["gate", *words]) == 2
        assert part in " ".join(capsys.readouterr().err.split())
