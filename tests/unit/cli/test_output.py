"""Results go to stdout as one object, to stderr for people, and to files that were asked for."""

import io
import json
from pathlib import Path

import msgspec
import pytest

from deployopt.cli.output import SUMMARY, emit, shown_progress
from deployopt.core.codec import encode_pretty
from deployopt.core.errors import StorageError, UsageError
from deployopt.core.watching import SILENT
from tests.fakes.markup import read_xml
from tests.fakes.results import build_result, plan_result, verify_result


@pytest.fixture(autouse=True)
def no_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SUMMARY, raising=False)


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


def test_files_that_were_asked_for_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary"
    summary.write_text("from another step\n")
    monkeypatch.setenv(SUMMARY, str(summary))
    emit(build_result("rejected"), json=False, markdown=tmp_path / "a.md", junit=tmp_path / "a.xml")
    written = (tmp_path / "a.md").read_text()
    assert "rejected" in written.casefold()
    assert summary.read_text() == f"from another step\n{written}"
    suite = read_xml((tmp_path / "a.xml").read_bytes())
    assert [case.tag for case in suite.iter("failure")] == ["failure"]


def test_junit_needs_a_verdict(tmp_path: Path) -> None:
    nothing = msgspec.structs.replace(build_result(), verdict=None)
    with pytest.raises(UsageError, match="no verdict"):
        emit(nothing, json=False, junit=tmp_path / "a.xml")
    assert not (tmp_path / "a.xml").exists()


def test_a_file_that_cannot_be_written_is_an_error_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"a\.md"):
        emit(build_result(), json=False, markdown=tmp_path / "file" / "a.md")


def test_quiet_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = io.StringIO()
    monkeypatch.setattr("sys.stderr", drawn)
    with shown_progress(quiet=True) as watcher:
        assert watcher is SILENT
        watcher.stage("Model")
    assert drawn.getvalue() == ""
    with shown_progress(quiet=False) as watcher:
        watcher.stage("Model")
    assert "Model" in drawn.getvalue()
