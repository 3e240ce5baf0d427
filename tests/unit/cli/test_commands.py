"""Options become a request: a flag beats the project file, which beats the target's own."""

from pathlib import Path

import pytest

from deployopt.cli.main import run
from deployopt.core.budget import Budget
from deployopt.core.errors import ExitCode
from deployopt.core.request import BuildRequest
from deployopt.core.result import PlanResult
from deployopt.pipeline import planning
from deployopt.store.layout import default_root
from tests.fakes.results import plan_result

Asked = list[BuildRequest]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asked:
    """What reaches the pipeline from a command that is started in `tmp_path`."""
    found: Asked = []

    def run_plan(request: BuildRequest) -> PlanResult:
        found.append(request)
        return plan_result()

    monkeypatch.setattr(planning, "run_plan", run_plan)
    monkeypatch.delenv("DEPLOYOPT_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return found


def limits(request: BuildRequest) -> dict[str, float]:
    return {budget.metric: budget.limit for budget in request.limits}


def test_options_reach_the_request(asked: Asked) -> None:
    code = run(
        ["plan", "-t", "rpi4", "-m", "distilbert", "-b", "latency_p95=60ms", "-b",
         "energy = 2 J", "-d", "x.csv", "--column", "text=review", "--column", "label=stars",
         "--store", "kept"]
    )  # fmt: skip
    assert code == ExitCode.ACCEPTED
    (request,) = asked
    assert (request.model, request.target.name, request.data) == ("distilbert", "rpi4", "x.csv")
    assert request.columns == {"text": "review", "label": "stars"}
    assert request.store == Path("kept")
    assert request.budgets == (
        Budget(metric="energy", limit=2.0),
        Budget(metric="latency_p95", limit=0.06),
    )


def test_a_flag_beats_the_project_file_and_that_the_target(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "deployopt.toml").write_text(
        'target = "rpi4"\nmodel = "demo-sentiment"\ndata = "ours.csv"\n'
        '[budgets]\nlatency_p95 = "100 ms"\nmemory_peak = "300 MiB"\n'
    )
    assert run(["plan"]) == ExitCode.ACCEPTED
    assert run(["plan", "-t", "rpi5", "-b", "latency_p95=50ms", "-d", "mine.csv"]) == 0
    by_file, by_flag = asked
    assert (by_file.target.name, by_file.model, by_file.data) == (
        "rpi4",
        "demo-sentiment",
        "ours.csv",
    )
    assert limits(by_file)["latency_p95"] == 0.1
    assert limits(by_file)["memory_peak"] == 300 * 2**20
    assert limits(by_file)["accuracy_drop"] == 0.01
    assert (by_flag.target.name, by_flag.model, by_flag.data) == (
        "rpi5",
        "demo-sentiment",
        "mine.csv",
    )
    assert limits(by_flag)["latency_p95"] == 0.05
    assert limits(by_flag)["memory_peak"] == 300 * 2**20


def test_settings_in_pyproject_count_too(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.deployopt]\ntarget = "t4"\nmodel = "minilm"\n'
    )
    assert run(["plan"]) == ExitCode.ACCEPTED
    assert (asked[0].target.name, asked[0].model) == ("t4", "minilm")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('targt = "rpi4"', "target"),
        ('[budgets]\nlatency_p96 = "60 ms"', "Did you mean 'latency_p9"),
        ('[budgets]\nlatency_p95 = "60 MiB"', "latency_p95"),
        ("target = 4", "target"),
        ("target = ", "deployopt.toml"),
    ],
)
def test_a_wrong_project_file_is_refused(
    asked: Asked, tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deployopt.toml").write_text(text)
    assert run(["plan", "-t", "rpi4", "-m", "demo-sentiment"]) == ExitCode.USAGE
    assert said in capsys.readouterr().err
    assert asked == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "No target was given"),
        (["-t", "rpi4"], "No model was given"),
        (["-t", "rpi44", "-m", "x"], "rpi4"),
        (["-t", "rpi4", "-m", "x", "-b", "latency_p95"], 'has no "="'),
        (["-t", "rpi4", "-m", "x", "-b", "latncy_p95=5ms"], "latency_p95"),
        (["-t", "rpi4", "-m", "x", "--column", "review"], "text=NAME or label=NAME"),
        (["-t", "rpi4", "-m", "x", "--column", "image=file"], "text=NAME or label=NAME"),
    ],
)
def test_what_is_missing_or_wrong_is_said(
    asked: Asked, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", *words]) == ExitCode.USAGE
    assert said in " ".join(capsys.readouterr().err.split())
    assert asked == []


def test_the_environment_names_one_store_for_the_command_line_and_for_python(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOYOPT_HOME", "/elsewhere")
    assert run(["plan", "-t", "rpi4", "-m", "x"]) == ExitCode.ACCEPTED
    assert asked[0].store is None
    assert default_root() == Path("/elsewhere/store-1")
    assert run(["plan", "-t", "rpi4", "-m", "x", "--store", "/named"]) == ExitCode.ACCEPTED
    assert asked[1].store == Path("/named")
