"""The services' own steps, run as they run them: an action's from its YAML, a job's from its own.

What a service puts in place of `${{ … }}` is put there; everything else is the file's.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

ROOT: Final = Path(__file__).parents[2]
ACTION: Final = ROOT / ".github" / "actions" / "deployopt"
INCLUDE: Final = ROOT / "ci" / "gitlab" / "deployopt.yml"
_EXPRESSION: Final = re.compile(r"\$\{\{\s*([a-z._-]+)\s*\}\}")


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """What a job left behind."""

    code: int
    out: str
    err: str
    outputs: dict[str, str] = {}
    summary: str = ""

    @property
    def all(self) -> str:
        """For a message when something is wrong."""
        return f"exit {self.code}\n{self.out}\n{self.err}"


def read_yaml(path: Path) -> Any:
    """The file's tree; skips the test where there is no reader."""
    return pytest.importorskip("yaml").safe_load(path.read_text("utf-8"))


def write_command(folder: Path, body: str = "") -> Path:
    """A folder whose `deployopt` is this checkout's, measuring in a hurry; or runs `body`."""
    folder.mkdir(exist_ok=True)
    path = folder / "deployopt"
    start = f'exec {sys.executable} -m tests.fakes.hurried "$@"'
    path.write_text(f"#!/usr/bin/env bash\n{body or start}\n")
    path.chmod(0o755)
    return folder


def run_action(folder: Path, commands: Path, inputs: Mapping[str, str]) -> Finished:
    """The steps of the action that are scripts, in `folder` as the workspace."""
    action = read_yaml(ACTION / "action.yml")
    assert set(inputs) <= set(action["inputs"]), "no such input"
    values = {
        f"inputs.{name}": inputs.get(name, str(about.get("default", "")))
        for name, about in action["inputs"].items()
    }
    files = {name: folder / f"{name}.txt" for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for path in files.values():
        path.write_text("")
    (step,) = [step for step in action["runs"]["steps"] if "run" in step]
    assert step["shell"] == "bash"
    assert "${{" not in step["run"], "an input would be part of a line of shell"
    environment = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_ACTION_PATH": str(ACTION),
        **{name: str(path) for name, path in files.items()},
        **{name: _filled(text, values) for name, text in step["env"].items()},
    }
    done = _bash(step["run"], folder / _filled(step["working-directory"], values), commands,
                 environment)  # fmt: skip
    written = read_outputs(files["GITHUB_OUTPUT"].read_text("utf-8"))
    found = {f"steps.{step['id']}.outputs.{name}": value for name, value in written.items()}
    return msgspec.structs.replace(
        done,
        outputs={n: _filled(o["value"], found) for n, o in action["outputs"].items()},
        summary=files["GITHUB_STEP_SUMMARY"].read_text("utf-8"),
    )


def run_job(folder: Path, commands: Path, variables: Mapping[str, str]) -> Finished:
    """The script of the job to be extended, in `folder` as the project's."""
    job = read_yaml(INCLUDE)[".deployopt"]
    assert set(variables) <= set(job["variables"]), "no such variable"
    environment = {"GITLAB_CI": "true", "CI_PROJECT_DIR": str(folder)}
    for name, value in job["variables"].items():
        text = variables.get(name, str(value))
        environment[name] = text.replace("$CI_PROJECT_DIR", str(folder))
    return _bash("\n".join(job["script"]), folder, commands, environment)


def read_outputs(text: str) -> dict[str, str]:
    """What the file of outputs says, as the runner reads it: the later one counts."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        heredoc = re.fullmatch(r"([^=<]+)<<(.+)", line)
        if heredoc is None:
            name, sign, value = line.partition("=")
            assert sign, f"neither form of an output: {line!r}"
        else:
            name, parts = heredoc[1], []
            for inner in lines:
                if inner == heredoc[2]:
                    break
                parts.append(inner)
            else:
                raise AssertionError(f"{name} does not end")
            value = "\n".join(parts)
        found[name] = value
    return found


def _filled(text: str, values: Mapping[str, str]) -> str:
    """As a service does: what is not there is empty."""
    return _EXPRESSION.sub(lambda match: values.get(match[1], ""), str(text))


def _bash(script: str, folder: Path, commands: Path, environment: Mapping[str, str]) -> Finished:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "CI_"))}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=kept
        | {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        | dict(environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Finished(code=done.returncode, out=done.stdout, err=done.stderr)
