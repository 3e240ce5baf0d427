"""Every example is run as a user would: copied, with its own scripts, nothing put in their place.

Builds that measure on this machine may end undecided when it is noisy; the examples say so, and so
do these tests. DEPLOYOPT_HOME shares what was fetched.
"""

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import deployopt
from tests.fakes.ci_runner import INCLUDE, read_outputs, read_yaml
from tests.fakes.markup import read_xml
from tests.fakes.plugin_project import run_pytest
from tests.fakes.results import build_result

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("what-fits", "quickstart", "package", "ci-gate", "own-target", "own-onnx",
         "mnist-resnet", "efficientnet-lite")  # fmt: skip
heavy = [pytest.mark.slow, pytest.mark.torch]


class Ran:
    """An example that was run; `folder` is its copy."""

    def __init__(self, folder: Path, *command: str, **environment: str) -> None:
        self.folder = folder
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ
            | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
            | environment,
            capture_output=True,
            text=True,
            timeout=540,
            check=False,
        )
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def made(self) -> list[str]:
        """The names in its folder of results."""
        return [path.name for path in (self.folder / "out").iterdir()]

    @property
    def all(self) -> str:
        """For a message when something is wrong."""
        return f"exit {self.code}\n{self.out}\n{self.err}"


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples as a clone has them, without what earlier runs made."""
    made = shutil.ignore_patterns(
        "out", "release", "data", "wheels", "*.onnx", "*.npz", "*.safetensors", "__pycache__"
    )
    return Path(shutil.copytree(EXAMPLES, tmp_path_factory.mktemp("at") / "examples", ignore=made))


@pytest.fixture(scope="module")
def own_onnx(copies: Path) -> Ran:
    return Ran(copies / "own-onnx", "bash", "run.sh")


def packaging(copies: Path) -> ModuleType:
    """The packaging script as a module."""
    spec = importlib.util.spec_from_file_location("package", copies / "package" / "package.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_has_its_page_and_is_listed() -> None:
    listed = (EXAMPLES / "README.md").read_text("utf-8")
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders == set(NAMES)
    for name in NAMES:
        assert f"[{name}]({name}/)" in listed
        page = (EXAMPLES / name / "README.md").read_text("utf-8")
        assert 10 < len(page.splitlines()) <= 50


@pytest.mark.parametrize("script", sorted(EXAMPLES.rglob("*.sh")), ids=lambda p: p.parent.name)
def test_scripts_are_sound_shell(script: Path) -> None:
    assert script.read_text("utf-8").startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in script.read_text("utf-8")
    subprocess.run(["bash", "-n", script], check=True)


def test_the_own_target_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    target = deployopt.load_target(EXAMPLES / "own-target" / "my-board.toml")
    assert (target.name, len(target.limits)) == ("my-board", 4)
    assert capsys.readouterr().err == ""


def test_the_jobs_use_what_is_there() -> None:
    job = read_yaml(EXAMPLES / "ci-gate" / "deployopt.yml")
    steps = job["jobs"]["budgets"]["steps"]
    (step,) = [one for one in steps if one["uses"].startswith("deployopt/")]
    repository, _, path = step["uses"].partition("@")[0].partition("/.github/")
    assert repository == "deployopt/deployopt"
    action = read_yaml(EXAMPLES.parent / ".github" / path / "action.yml")
    assert set(step["with"]) <= set(action["inputs"])
    include = read_yaml(INCLUDE)
    mine = read_yaml(EXAMPLES / "ci-gate" / "gitlab-ci.yml")
    assert mine["include"][0]["remote"].endswith("/ci/gitlab/deployopt.yml")
    assert set(mine["budgets"]["variables"]) <= set(
        include[mine["budgets"]["extends"]]["variables"]
    )


@pytest.mark.parametrize("word", ["rejected", "undecided"])
def test_what_may_not_ship_is_explained(
    word: str, copies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packaging(copies).explain(build_result(word))
    shown = capsys.readouterr().err
    assert shown.startswith(f"not released: {word}\n  latency_p95: The ")
    assert shown.count("\n") == 2


def test_what_fits_is_a_table_and_advice(copies: Path) -> None:
    ran = Ran(copies / "what-fits", sys.executable, "choose.py")
    assert ran.code == 0, ran.all
    rows = {line.split()[0]: line for line in ran.out.splitlines() if line[:1].strip()}
    assert rows["qwen2.5-7b"].split()[1:4] == ["-", "-", "-"]
    assert "int8" in rows["qwen2.5-7b"] or "nf4" in rows["qwen2.5-7b"]
    assert "deployopt build --target rpi4 --model " in ran.out


class TestQuickstart:
    pytestmark = heavy

    def test_for_a_board(self, copies: Path) -> None:
        ran = Ran(copies / "quickstart", "bash", "run.sh")
        assert ran.code == 0, ran.all
        assert "demo-sentiment-rpi4.provisional" in ran.made
        assert "deployopt verify demo-sentiment-rpi4.provisional" in ran.err
        assert [line.split()[0] for line in ran.out.splitlines()] == ["positive", "negative"]

    def test_the_pages_python_reads_that_bundle(self, copies: Path) -> None:
        """Runs behind the test above: the README's own lines, where the bundle lies."""
        page = (EXAMPLES.parent / "README.md").read_text("utf-8")
        blocks = [block.split("```")[0] for block in page.split("```python\n")[1:]]
        (lines,) = [block for block in blocks if "Bundle.open" in block]
        folder = copies / "quickstart" / "out"
        if not folder.is_dir():
            pytest.skip("the bundle was not built")
        ran = Ran(folder, sys.executable, "-c", lines)
        assert ran.code == 0, ran.all
        assert "positive" in ran.out

    @pytest.mark.skipif(platform.machine() != "x86_64", reason="measures an x86-64 machine")
    def test_for_this_machine(self, copies: Path) -> None:
        ran = Ran(copies / "quickstart", "bash", "run.sh", "x86-cpu")
        plain = ran.folder / "out" / "demo-sentiment-x86-cpu"
        left = {
            0: plain,
            1: plain.with_name(f"{plain.name}.rejected.html"),
            3: plain.with_name(f"{plain.name}.undecided"),
        }
        assert ran.code in left, ran.all
        assert left[ran.code].exists()
        mine = [name for name in ran.made if name.startswith(plain.name)]
        assert mine == [left[ran.code].name]
        assert "settle" not in ran.out
        if ran.code != 1:
            assert [line.split()[0] for line in ran.out.splitlines()] == ["positive", "negative"]
        assert {0: "ACCEPTED", 1: "REJECTED", 3: "UNDECIDED"}[ran.code] in ran.err


class TestOwnOnnx:
    pytestmark = heavy

    def test_only_int8_is_small_enough(self, own_onnx: Ran) -> None:
        assert own_onnx.code == 0, own_onnx.all
        bundle = own_onnx.folder / "out" / "machine.provisional"
        result = json.loads((bundle / "result.json").read_bytes())
        chosen = [one for one in result["candidates"] if one["chosen"]]
        assert [one["precision"] for one in chosen] == ["int8"]
        assert "trained: 8" in own_onnx.out
        assert result["data"]["labelled"]

    def test_a_packaging_script_releases_it_once(self, own_onnx: Ran, copies: Path) -> None:
        model = own_onnx.folder / "machine.onnx"
        ran = Ran(
            copies / "package", sys.executable, "package.py", "--accept-predicted",
            "--model", str(model), "--data", str(model.with_name("machine.npz")),
        )  # fmt: skip
        assert ran.code == 0, ran.all
        place = ran.folder / "release" / "machine-rpi4.provisional"
        assert ran.out == f"released {place.relative_to(ran.folder)}\n"
        deployopt.Bundle.open(place)
        result = build_result(bundle=str(place))
        with pytest.raises(deployopt.UsageError, match="released already"):
            packaging(copies).release(result, place.parent)

    def test_a_packaging_script_passes_errors_on(self, copies: Path) -> None:
        ran = Ran(copies / "package", sys.executable, "package.py", "--model", "./none.onnx")
        assert ran.code == 2, ran.all
        assert ran.err.startswith("not released: There is no file or folder")


class TestGate:
    pytestmark = heavy

    def test_it_lets_a_good_change_in(self, copies: Path) -> None:
        summary, output = copies / "summary.md", copies / "output.txt"
        ran = Ran(
            copies / "ci-gate", "bash", "gate.sh", GITHUB_ACTIONS="true",
            GITHUB_STEP_SUMMARY=str(summary), GITHUB_OUTPUT=str(output),
            GITHUB_WORKSPACE=str(copies),
        )  # fmt: skip
        assert ran.code == 0, ran.all
        assert ran.out.startswith("::warning title=deployopt%3A provisional::")
        out = ran.folder / "out"
        assert summary.read_text("utf-8") == (out / "summary.md").read_text("utf-8")
        outputs = read_outputs(output.read_text("utf-8"))
        assert (outputs["verdict"], outputs["exit-code"]) == ("provisional", "0")
        found = json.loads((Path(ran.folder, outputs["bundle"]) / "result.json").read_bytes())
        limits = {budget["metric"]: budget["limit"] for budget in found["budgets"]}
        assert limits["latency_p95"] == 0.15
        suite = read_xml((out / "junit.xml").read_bytes())[0]
        assert (suite.get("tests"), suite.get("failures")) == (str(len(limits)), "0")
        assert json.loads((out / "code-quality.json").read_bytes()) == []
        assert "deployopt_latency_p95_limit_seconds" in (out / "metrics.txt").read_text("utf-8")

    def test_its_answers_are_tested(self, copies: Path) -> None:
        """Runs behind the test above."""
        folder = copies / "ci-gate"
        if not (folder / "out" / "model.provisional").is_dir():
            pytest.skip("the bundle was not built")
        ended = run_pytest(
            folder, "--deployopt-bundle", "out/model.provisional", "--deployopt-proxy",
            "--deployopt-accept-predicted",
        )  # fmt: skip
        assert ended.code == 0, ended.out
        assert ended.out.count("test_it_answers") >= 2

    def test_it_stops_what_was_not_judged(self, copies: Path) -> None:
        folder = Path(shutil.copytree(copies / "ci-gate", copies / "gate-2"))
        settings = folder / "deployopt.toml"
        settings.write_text(settings.read_text("utf-8").replace("latency_p95", "latncy_p95"))
        ran = Ran(folder, "bash", "gate.sh")
        assert ran.code == 2, ran.all
        assert "latency_p95" in ran.err


class TestOwnTarget:
    pytestmark = heavy

    def test_plan_then_build(self, copies: Path) -> None:
        ran = Ran(copies / "own-target", "bash", "run.sh")
        assert ran.code == 0, ran.all
        assert ran.made == ["demo-sentiment-my-board.provisional"]


class TestDigits:
    pytestmark = heavy

    def test_a_classifier_of_images(self, copies: Path) -> None:
        folder = copies / "mnist-resnet"
        made = Ran(
            folder, sys.executable, "make.py",
            "--train", "1000", "--judge", "800", "--epochs", "6", "--size", "32",
        )  # fmt: skip
        assert made.code == 0, made.all
        assert "digits that it has not seen" in made.out
        ran = Ran(folder, "bash", "run.sh", "rpi4")
        assert ran.code in (0, 1, 3), ran.all
        assert ran.made, ran.all
        if ran.code != 1:
            assert len(ran.out.splitlines()) > 3

    def test_a_module_from_python(self, copies: Path) -> None:
        ran = Ran(
            copies / "efficientnet-lite", sys.executable, "build.py", "--target", "rpi4",
            "--train", "400", "--epochs", "1", "--size", "48",
        )  # fmt: skip
        assert ran.code in (0, 1, 3), ran.all
        assert "int8" in ran.out, ran.all
