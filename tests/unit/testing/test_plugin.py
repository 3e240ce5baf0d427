"""The plugin in real runs of pytest: quiet where it is not asked, once where it is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.plugin_project import ROOT, run_pytest, write_project
from tests.fakes.results import verify_result

OWN = """
def test_verdict(deployopt_verdict):
    assert deployopt_verdict.word == "accepted"
def test_folder(deployopt_folder):
    assert deployopt_folder.name == "bundle"
def test_plain():
    pass
"""


def test_importing_it_imports_nothing_heavy() -> None:
    code = (
        "import json, sys, time, pytest; before = {*sys.modules}; start = time.perf_counter(); "
        "import deployopt.testing.plugin; spent = time.perf_counter() - start; "
        "print(json.dumps([spent, sorted({*sys.modules} - before)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    spent, loaded = json.loads(done.stdout)
    assert {name.partition(".")[0] for name in loaded} == {"deployopt"}
    assert len(loaded) <= 6
    assert spent < 0.1


def test_without_the_option_nothing_happens(tmp_path: Path) -> None:
    write_project(tmp_path, verify_result(), "def test_plain():\n    pass\n")
    ended = run_pytest(tmp_path)
    assert ended.code == 0, ended.out
    assert "1 passed" in ended.out
    assert ended.calls == ()


@pytest.mark.slow
def test_a_fixture_without_the_option_is_an_error_and_no_skip(tmp_path: Path) -> None:
    ended = run_pytest(write_project(tmp_path, verify_result(), OWN))
    assert ended.code == 1
    assert "1 passed, 2 errors" in ended.out
    assert "needs --deployopt-bundle BUNDLE" in ended.out


def test_budgets_and_own_tests_share_one_verification(tmp_path: Path) -> None:
    write_project(tmp_path, verify_result(), OWN)
    ended = run_pytest(tmp_path, "--deployopt-bundle", "bundle")
    assert ended.code == 0, ended.out
    assert "8 passed" in ended.out
    assert "bundle/budgets.json::latency_p95 PASSED" in ended.out
    assert len(ended.calls) == 1


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("--dist", "loadfile")])
def test_workers_verify_once(tmp_path: Path, words: tuple[str, ...]) -> None:
    pytest.importorskip("xdist")
    write_project(tmp_path, verify_result("rejected"), OWN)
    ended = run_pytest(
        tmp_path, "--deployopt-bundle", "bundle", "-p", "xdist.plugin", "-n", "2", *words
    )
    assert ended.code == 1, ended.out
    assert "2 failed, 6 passed" in ended.out
    assert len(ended.calls) == 1
    assert "Other workers were testing" in ended.out


@pytest.mark.slow
def test_what_is_told_is_passed_on(tmp_path: Path) -> None:
    write_project(tmp_path, verify_result())
    ended = run_pytest(
        tmp_path,
        "--deployopt-bundle",
        "bundle",
        "--deployopt-proxy",
        "--deployopt-accept-predicted",
    )
    assert ended.calls == ("[('accept_predicted', True), ('proxy', True)]",)


@pytest.mark.slow
def test_tests_are_chosen_as_others_are(tmp_path: Path) -> None:
    write_project(tmp_path, verify_result("rejected"), OWN)
    ended = run_pytest(tmp_path, "--deployopt-bundle", "bundle", "-k", "memory or plain")
    assert ended.code == 0, ended.out
    assert "2 passed, 6 deselected" in ended.out
    listed = run_pytest(tmp_path, "--deployopt-bundle", "bundle", "--collect-only", "-q")
    assert "artifact" in listed.out
    assert len(listed.calls) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("none",), "none is not a bundle, for it has no budgets.json"),
        (("bundle", "--deployopt-bundle", "bundle"), "was given 2 times"),
        (("bundle/budgets.json",), "is not a bundle"),
    ],
)
def test_a_wrong_option_is_a_usage_error(tmp_path: Path, words: tuple[str, ...], part: str) -> None:
    write_project(tmp_path, verify_result(), OWN)
    ended = run_pytest(tmp_path, "--deployopt-bundle", *words)
    assert ended.code == pytest.ExitCode.USAGE_ERROR
    assert part in ended.out
    assert "Traceback" not in ended.out


@pytest.mark.slow
def test_budgets_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    write_project(tmp_path, verify_result(), OWN)
    (tmp_path / "bundle" / "budgets.json").write_text('[{"metric": 3}]')
    ended = run_pytest(tmp_path, "--deployopt-bundle", "bundle")
    assert ended.code == pytest.ExitCode.INTERRUPTED
    assert "budgets.json cannot be read" in ended.out
