"""The GitHub action and the GitLab include, their scripts run as the services run them."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.fakes.ci_runner import ACTION, INCLUDE, read_yaml, run_action, run_job, write_command
from tests.fakes.markup import read_xml

SHOW = 'for word in "$@"; do printf "<%s>\\n" "$word"; done; '
"""A `deployopt` that prints its arguments."""
HOSTILE = 'a b\'; touch pwned; $(touch pwned) `touch pwned` "x" \\ ${HOME} * ::error::x'


def words(text: str) -> list[str]:
    """The arguments that such a one was given."""
    return [line[1:-1] for line in text.splitlines() if line.startswith("<")]


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    return write_command(tmp_path / "bin", SHOW)


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return write_command(tmp_path / "bin")


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """A checkout."""
    folder = tmp_path / "work space"
    folder.mkdir()
    return folder


def test_the_script_is_sound() -> None:
    script = (ACTION / "run.sh").read_text("utf-8")
    assert script.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in script
    assert "eval" not in script
    assert "${{" not in script
    subprocess.run(["bash", "-n", ACTION / "run.sh"], check=True)


def test_every_input_reaches_the_script() -> None:
    action = read_yaml(ACTION / "action.yml")
    script = (ACTION / "run.sh").read_text("utf-8")
    (step,) = [step for step in action["runs"]["steps"] if "run" in step]
    assert all(f"{name}" in script for name in step["env"])
    given = {value.strip("${} ").removeprefix("inputs.") for value in step["env"].values()}
    assert given | {"cache", "working-directory"} == set(action["inputs"])
    assert all(about["description"] for about in action["inputs"].values())


class TestArguments:
    """What the command is given, seen by a command that prints it."""

    def test_a_build(self, space: Path, shown: Path) -> None:
        done = run_action(
            space, shown,
            {"version": "installed", "target": "rpi4", "model": "./my model", "bundle": "out",
             "budgets": "latency_p95=60ms\n\n  \naccuracy_drop=1 pt\r\n", "baseline": "old",
             "accept-predicted": "true", "arguments": "--effort=quick\n--seed\n3"},
        )  # fmt: skip
        assert done.code == 0, done.all
        assert words(done.out) == [
            "build", "--quiet", "--ci=github", "--junit=deployopt-reports/junit.xml",
            "--markdown=deployopt-reports/summary.md", "--target=rpi4", "--model=./my model",
            "--budget=latency_p95=60ms", "--budget=accuracy_drop=1 pt", "--accept-predicted",
            "--output=out", "--baseline=old", "--effort=quick", "--seed", "3",
        ]  # fmt: skip

    def test_a_comparison(self, space: Path, shown: Path) -> None:
        done = run_action(
            space, shown,
            {"version": "installed", "command": "compare", "bundle": "new", "baseline": "-old",
             "proxy": "true"},
        )  # fmt: skip
        assert words(done.out)[-4:] == ["--proxy", "--", "-old", "new"]

    def test_a_hostile_value_is_one_word(self, space: Path, shown: Path) -> None:
        names = ("target", "model", "data", "bundle", "baseline", "reports", "arguments", "budgets")
        done = run_action(space, shown, {"version": "installed"} | dict.fromkeys(names, HOSTILE))
        assert done.code == 0, done.all
        assert [w.endswith(HOSTILE) for w in words(done.out)].count(True) == 7
        assert not list(space.rglob("pwned"))
        assert done.outputs["reports"] == HOSTILE
        job = {f"DEPLOYOPT_{n.upper()}": HOSTILE for n in names} | {"DEPLOYOPT_INSTALL": "none"}
        done = run_job(space, shown, job)
        assert done.code == 0, done.all
        assert [w.endswith(HOSTILE) for w in words(done.out)].count(True) == 7
        assert not list(space.rglob("pwned"))

    @pytest.mark.parametrize(
        ("inputs", "part"),
        [
            ({"command": "rm"}, "one of: build verify compare"),
            ({"undecided": "perhaps"}, "one of: fail pass"),
            ({"command": "verify"}, "verify needs a bundle"),
            ({"command": "compare", "bundle": "b"}, "compare needs a baseline"),
            ({"version": "1.0; rm -rf /"}, "no version"),
            ({"extras": "build] @ http://x"}, "a list such as"),
            ({"proxy": "yes"}, "one of: true false"),
        ],
    )
    def test_wrong_inputs(
        self, space: Path, shown: Path, inputs: dict[str, str], part: str
    ) -> None:
        done = run_action(space, shown, inputs)
        assert done.code == 2
        assert part in done.out
        assert words(done.out) == []
        assert (done.outputs["verdict"], done.outputs["exit-code"]) == ("none", "2")

    def test_a_gitlab_job(self, space: Path, shown: Path) -> None:
        done = run_job(
            space, shown,
            {"DEPLOYOPT_INSTALL": "none", "DEPLOYOPT_TARGET": "rpi4",
             "DEPLOYOPT_BUDGETS": "latency_p95=60ms\n\naccuracy_drop=1 pt",
             "DEPLOYOPT_ARGUMENTS": "--seed\n3"},
        )  # fmt: skip
        assert words(done.out)[0] == "build"
        assert words(done.out)[6:] == [
            "--target=rpi4", "--budget=latency_p95=60ms", "--budget=accuracy_drop=1 pt", "--seed",
            "3",
        ]  # fmt: skip
        for wrong in ({"DEPLOYOPT_COMMAND": "x"}, {"DEPLOYOPT_COMMAND": "verify"}):
            assert run_job(space, shown, wrong).code == 2


class TestExitCodes:
    @pytest.mark.parametrize(
        ("code", "undecided", "ended"),
        [(0, "fail", 0), (1, "fail", 1), (3, "fail", 3), (3, "pass", 0), (1, "pass", 1),
         (5, "pass", 5), (4, "fail", 4)],
    )  # fmt: skip
    def test_the_verdict_is_passed_on(
        self, space: Path, tmp_path: Path, code: int, undecided: str, ended: int
    ) -> None:
        commands = write_command(tmp_path / "bin", f"exit {code}")
        done = run_action(space, commands, {"version": "installed", "undecided": undecided})
        assert done.code == ended
        assert done.outputs["exit-code"] == str(code)
        assert ("Nothing was judged" in done.out) == (code > 3)

    def test_what_cannot_be_installed_is_no_verdict(self, space: Path, shown: Path) -> None:
        (space / "empty").mkdir()
        done = run_action(space, shown, {"version": "./empty", "command": "build"})
        assert done.code != 0
        assert (done.outputs["verdict"], done.outputs["exit-code"]) == ("none", "5")
        assert words(done.out) == []

    def test_the_lenient_gitlab_job_lets_only_undecided_pass(self) -> None:
        assert read_yaml(INCLUDE)[".deployopt-undecided-passes"] == {
            "allow_failure": {"exit_codes": 3}
        }


@pytest.mark.slow
class TestRealBundle:
    """With the real command and a real bundle, measured in a hurry."""

    def test_github(self, space: Path, real: Path, mlp_bundle: Path) -> None:
        done = run_action(
            space, real,
            {"command": "verify", "bundle": str(mlp_bundle), "version": "installed"},
        )  # fmt: skip
        assert done.code in {0, 3}, done.all
        word = {0: "accepted", 3: "undecided"}[done.code]
        assert done.outputs == {
            "verdict": word, "exit-code": str(done.code), "bundle": str(mlp_bundle),
            "reports": "deployopt-reports",
        }  # fmt: skip
        assert done.out.startswith(f"::{'warning' if done.code else 'notice'} title=deployopt%3A ")
        assert done.summary.startswith("### ")
        reports = space / "deployopt-reports"
        assert done.summary == (reports / "summary.md").read_text("utf-8")
        suite = read_xml((reports / "junit.xml").read_bytes())[0]
        assert (suite.get("failures") == "0") == (done.code == 0)

    def test_github_with_an_altered_bundle(self, space: Path, real: Path, mlp_bundle: Path) -> None:
        bundle = space / "bundle"
        subprocess.run(["cp", "-r", mlp_bundle, bundle], check=True)
        (bundle / "labels.json").write_text("[]")
        done = run_action(
            space, real, {"command": "verify", "bundle": "bundle", "version": "installed"}
        )
        assert done.code == 4, done.all
        assert (done.outputs["verdict"], done.outputs["exit-code"]) == ("none", "4")
        assert "::error title=deployopt::Nothing was judged (exit 4)" in done.out
        assert not (space / "deployopt-reports").exists()

    def test_gitlab(self, space: Path, real: Path, mlp_bundle: Path) -> None:
        done = run_job(
            space, real,
            {"DEPLOYOPT_COMMAND": "verify", "DEPLOYOPT_BUNDLE": str(mlp_bundle),
             "DEPLOYOPT_INSTALL": "none"},
        )  # fmt: skip
        assert done.code in {0, 3}, done.all
        assert done.out == ""
        reports = space / "deployopt-reports"
        declared = read_yaml(INCLUDE)[".deployopt"]["artifacts"]["reports"].values()
        assert all((space / p.replace("$DEPLOYOPT_REPORTS", "deployopt-reports")).is_file() for p in declared)  # fmt: skip  # noqa: E501
        assert f"}} {int(done.code == 0)}\n" in (reports / "metrics.txt").read_text()
        findings = json.loads((reports / "code-quality.json").read_bytes())
        assert (findings == []) == (done.code == 0)


def test_the_page_names_what_is_there() -> None:
    page = (ACTION.parents[2] / "docs" / "ci.md").read_text("utf-8")
    action = read_yaml(ACTION / "action.yml")
    block = page.split("```yaml\n")[1].split("```")[0]
    (step, _) = pytest.importorskip("yaml").safe_load(block)
    assert set(step["with"]) <= set(action["inputs"])
    assert all(f"`{name}`" in page for name in action["outputs"])
    gitlab = pytest.importorskip("yaml").safe_load(page.split("```yaml\n")[2].split("```")[0])
    job = read_yaml(INCLUDE)[gitlab["budgets"]["extends"]]
    assert set(gitlab["budgets"]["variables"]) <= set(job["variables"])
