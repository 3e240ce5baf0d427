"""The command line itself: help, exit codes, JSON, 80 columns, what beats what."""

import json
import re
import sys
from pathlib import Path

import pytest

from deployopt.core.errors import ExitCode
from deployopt.core.version import VERSION
from tests.fakes import models
from tests.fakes.chat import sentences, write_tiny_llama
from tests.functional.conftest import ROOT, Done, Invoke, check_schema, invoke_here, outside

COMMANDS = (
    "build",
    "plan",
    "fit",
    "recommend",
    "verify",
    "compare",
    "run",
    "targets",
    "detect",
    "report",
    "gc",
)
COMMAND = (sys.executable, "-m", "deployopt")


def too_wide(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) > 80]


@pytest.mark.parametrize("words", [(), *((name,) for name in COMMANDS)])
def test_help_fits_the_terminal(words: tuple[str, ...]) -> None:
    done = invoke_here(*words, "--help")
    assert done.code == 0
    assert too_wide(done.out) == []
    assert "Usage: deployopt" in done.out


def test_no_command_shows_the_help() -> None:
    done = invoke_here()
    assert "Usage: deployopt" in done.out + done.err
    assert all(name in done.out + done.err for name in COMMANDS)


def test_the_version() -> None:
    assert invoke_here("--version").out == f"deployopt {VERSION}\n"


@pytest.mark.parametrize(
    "words",
    [
        ("bild",),
        ("build", "--tagret", "rpi4"),
        ("build",),
        ("build", "-t", "rpi4"),
        ("build", "-t", "rpi4", "-m", "demo-sentiment", "--seed", "x"),
        ("build", "-t", "rpi4", "-m", "demo-sentiment", "-b", "latency_p95"),
        ("verify",),
        ("targets", "rpi"),
    ],
)
def test_a_wrong_line_is_exit_2_and_one_paragraph(words: tuple[str, ...]) -> None:
    done = invoke_here(*words)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err
    assert "\n\n" not in done.err.strip()


def test_every_exit_code_is_in_the_page() -> None:
    page = (ROOT / "docs" / "exit-codes.md").read_text("utf-8")
    for code in ExitCode:
        assert re.search(rf"\b{int(code)}\b", page), code


@pytest.mark.parametrize("words", [("build", "-t", "rpi44", "-m", "x"), ("verify", "nowhere")])
def test_errors_are_json_when_asked(words: tuple[str, ...]) -> None:
    done = invoke_here(*words, "--json")
    assert done.code == 2
    check_schema("error-result", done.json)
    assert done.json["message"].splitlines()[0] in done.paragraph


def test_debug_shows_the_traceback() -> None:
    assert "Traceback" in invoke_here("targets", "rpi44", "--debug").err


def test_what_people_read_fits_the_terminal(mlp_build: Done, invoke: Invoke, shelf: Path) -> None:
    assert too_wide(mlp_build.err) == []
    assert too_wide(invoke("targets").err + invoke("targets", "rpi4").err) == []
    assert too_wide(invoke("gc", "--store", shelf / "store", "--dry-run").err) == []


def test_json_is_one_object_and_all_of_stdout(mlp_build: Done) -> None:
    assert mlp_build.out.startswith("{")
    assert json.loads(mlp_build.out)["schema_version"] == 1


@pytest.mark.parametrize("name", ["build-result", "verify-result", "plan-result", "error-result"])
def test_a_published_schema_refuses_another_object(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    with pytest.raises(jsonschema.ValidationError):
        check_schema(name, {"schema_version": 1, "surprise": True})


def test_a_target_is_printed_to_start_from(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(invoke_here("targets", "rpi4", "--toml").out, "utf-8")
    assert (
        invoke_here("targets", path, "--json").json == invoke_here("targets", "rpi4", "--json").json
    )
    schema = json.loads(invoke_here("targets", "--schema").out)
    assert schema == json.loads((ROOT / "docs" / "target.schema.json").read_bytes())


@pytest.mark.slow
def test_this_machine_is_a_target_that_matches_itself(tmp_path: Path) -> None:
    done = invoke_here("detect")
    assert done.code == 0, done.err
    path = tmp_path / "detected.toml"
    path.write_text(done.out, "utf-8")
    found = invoke_here("targets", path, "--json")
    assert found.code == 0, found.err


def test_flags_beat_the_project_and_the_project_beats_the_target(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mlp: Path, arrays: Path
) -> None:
    target = models.write_target(tmp_path / "here.toml")
    (tmp_path / "deployopt.toml").write_text(
        f'target = "{target}"\nmodel = "{mlp}"\ndata = "{arrays}"\n\n'
        '[budgets]\nlatency_p95 = "2 s"\nartifact_size = "20 MiB"\n',
        "utf-8",
    )
    monkeypatch.chdir(tmp_path)
    done = invoke_here("plan", "--store", "store", "-b", "latency_p95=3s", "--json")
    assert done.code == 0, done.err
    limits = {budget["metric"]: budget["limit"] for budget in done.json["plan"]["budgets"]}
    assert limits["latency_p95"] == 3.0
    assert limits["artifact_size"] == 20 * 2**20
    assert limits["memory_peak"] == 2 * 2**30
    (tmp_path / "deployopt.toml").write_text('tagret = "rpi4"\n', "utf-8")
    wrong = invoke_here("plan")
    assert wrong.code == 2
    assert "deployopt.toml" in wrong.paragraph
    assert "'target'" in wrong.paragraph


def test_a_language_model_is_planned_with_texts_of_ones_own(tmp_path: Path) -> None:
    """By its config: the texts change nothing of a plan, but have to be there."""
    folder = write_tiny_llama(tmp_path / "tiny")
    (tmp_path / "texts.txt").write_text("\n\n".join(sentences(30)))
    words = ("plan", "-t", "x86-cpu", "-m", folder, "--store", tmp_path / "store", "--json")
    done = invoke_here(*words, "-d", tmp_path / "texts.txt")
    assert done.code == 0, done.err
    assert done.json == invoke_here(*words).json
    assert {one["recipe"] for one in done.json["plan"]["forecasts"]} >= {"float", "int4"}
    missing = invoke_here(*words, "-d", tmp_path / "nothing.txt")
    assert missing.code == 2
    assert "nothing.txt" in missing.paragraph


def test_the_page_of_a_bundle(mlp_bundle: Path, tmp_path: Path) -> None:
    done = invoke_here("report", mlp_bundle, "-o", tmp_path / "page.html")
    assert done.code == 0, done.err
    page = (tmp_path / "page.html").read_text("utf-8")
    assert done.out.strip() == str(tmp_path / "page.html")
    assert page[:15].casefold() == "<!doctype html>"


def test_a_closed_pipe_is_no_traceback(tmp_path: Path) -> None:
    line = f"{' '.join(COMMAND)} targets --schema | head -c 10"
    done = outside(["bash", "-c", line], tmp_path)
    assert "Traceback" not in done.err
    assert "Exception" not in done.err


def test_the_process_returns_the_code(tmp_path: Path) -> None:
    assert outside([*COMMAND, "targets"], tmp_path).code == 0
    assert outside([*COMMAND, "targets", "rpi44"], tmp_path).code == 2


@pytest.mark.parametrize("words", [("--help",), ("targets",), ("--version",), ("build", "--help")])
def test_the_light_commands_import_nothing_heavy(words: tuple[str, ...], tmp_path: Path) -> None:
    code = (
        "import sys; from deployopt.cli.main import run; "
        f"run({list(words)!r}); "
        "heavy = {'torch', 'transformers', 'onnxruntime', 'onnx', 'numpy'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = outside([sys.executable, "-c", code], tmp_path)
    assert done.out.splitlines()[-1] == "[]", done.out + done.err
