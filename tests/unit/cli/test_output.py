"""Results go to stdout as one object, to stderr for people, and to files that were asked for."""

import io
import json
import os
from pathlib import Path

import msgspec
import pytest

from deployopt.cli.ci_options import Ci, Files
from deployopt.cli.output import OUTPUT, SUMMARY, emit, shown_progress
from deployopt.core.codec import encode_pretty
from deployopt.core.errors import StorageError
from tests.fakes.markup import read_xml
from tests.fakes.results import build_result, cannot_fit, plan_result, verify_result


@pytest.fixture(autouse=True)
def no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (SUMMARY, OUTPUT, "GITHUB_ACTIONS", "GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("result", [build_result(), verify_result(), plan_result()])
def test_json_is_alone_on_stdout(
    result: msgspec.Struct, capsys: pytest.CaptureFixture[str]
) -> None:
    emit(result, json=True)  # type: ignore[arg-type]
    shown = capsys.readouterr()
    assert json.loads(shown.out) == json.loads(encode_pretty(result))
    assert shown.err
    emit(result, json=False)  # type: ignore[arg-type]
    assert capsys.readouterr().out == ""


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runner's folder of files, as GitHub gives them to a step."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for name in (SUMMARY, OUTPUT):
        (tmp_path / name).write_text("")
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_that_were_asked_for_are_written(tmp_path: Path) -> None:
    files = Files(
        markdown=tmp_path / "a.md", junit=tmp_path / "a.xml", metrics=tmp_path / "a.txt",
        code_quality=tmp_path / "a.json",
    )  # fmt: skip
    emit(build_result("rejected"), json=False, files=files)
    assert "rejected" in (tmp_path / "a.md").read_text().casefold()
    suite = read_xml((tmp_path / "a.xml").read_bytes())
    assert [case.tag for case in suite.iter("failure")] == ["failure"]
    assert (tmp_path / "a.txt").read_text().endswith("\n# EOF\n")
    (finding,) = json.loads((tmp_path / "a.json").read_bytes())
    assert finding["check_name"] == "deployopt.latency_p95"


def test_what_cannot_fit_keeps_its_exit_code_and_fails_in_junit(tmp_path: Path) -> None:
    emit(cannot_fit(), json=False, files=Files(junit=tmp_path / "a.xml"))
    assert len([*read_xml((tmp_path / "a.xml").read_bytes()).iter("failure")]) == 1


def test_github_is_told(github: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (github / SUMMARY).write_text("from another step\n")
    (github / "deployopt.toml").write_text('[budgets]\nlatency_p95 = "60 ms"\n')
    emit(build_result("rejected"), json=False, files=Files(markdown=github / "a.md"))
    summary = (github / SUMMARY).read_text()
    assert summary == f"from another step\n{(github / 'a.md').read_text()}"
    written = (github / OUTPUT).read_text().splitlines()
    assert [line.partition("<<")[0] for line in written[::3]] == ["verdict", "exit-code", "bundle"]
    assert written[1::3] == ["rejected", "1", ""]
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("::error title=deployopt%3A rejected%3A latency p95 ≤ 60 ms,")
    assert ",file=deployopt.toml,line=2::" in line


def test_with_json_there_is_no_command_on_stdout(
    github: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    emit(verify_result(), json=True)
    assert json.loads(capsys.readouterr().out)["exit_code"] == 0
    assert (github / OUTPUT).read_text()
    assert (github / SUMMARY).read_text()


def test_who_is_told_can_be_said(
    github: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    emit(verify_result(), json=False, files=Files(ci=Ci.NONE))
    assert (github / SUMMARY).read_text() == (github / OUTPUT).read_text() == ""
    assert capsys.readouterr().out == ""
    monkeypatch.delenv("GITHUB_ACTIONS")
    emit(verify_result(), json=False)
    assert (github / OUTPUT).read_text() == ""
    emit(verify_result(), json=False, files=Files(ci=Ci.GITHUB))
    assert capsys.readouterr().out.startswith("::notice ")
    emit(plan_result(), json=False, files=Files(ci=Ci.GITHUB))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "device", "missing folder"])
def test_a_runner_file_that_is_none_is_a_warning(
    kind: str, github: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, other = github / "odd", github / "other"
    other.write_text("as it was")
    if kind == "link":
        path.symlink_to(other)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/full")
    else:
        path = github / "none" / "odd"
    monkeypatch.setenv(OUTPUT, str(path))
    emit(build_result("rejected"), json=False)
    shown = capsys.readouterr()
    assert "warning: GITHUB_OUTPUT was not written" in shown.err
    assert shown.out.startswith("::error ")
    assert other.read_text() == "as it was"
    assert (github / SUMMARY).read_text()


def test_a_file_that_cannot_be_written_is_an_error_behind_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"a\.md"):
        emit(build_result(), json=True, files=Files(markdown=tmp_path / "file" / "a.md"))
    shown = capsys.readouterr()
    assert "PROVISIONAL" in shown.err
    assert shown.out == ""


def test_quiet_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = io.StringIO()
    monkeypatch.setattr("sys.stderr", drawn)
    with shown_progress(quiet=True) as watcher:
        watcher.stage("Model")
    assert drawn.getvalue() == ""
    with shown_progress(quiet=False) as watcher:
        watcher.stage("Model")
    assert "Model" in drawn.getvalue()
