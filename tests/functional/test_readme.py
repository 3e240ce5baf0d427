"""Pages for people say what is so: commands and options exist, links lead somewhere, code runs.

The first command of the README makes an environment and takes minutes; its parts are held against
the project here, and the examples run the same build.
"""

import ast
import inspect
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import deployopt
from deployopt.cli.main import command_line, run
from deployopt.core.errors import ExitCode
from deployopt.planning.targets import target_names
from tests.functional.conftest import ROOT, outside

README = ROOT / "README.md"
PAGES = (README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "examples").rglob("*.md")),
    ROOT / "benchmarks" / "README.md", ROOT / "docs" / "comparing.md")  # fmt: skip
FIRST = (
    "python3 -m venv .venv && .venv/bin/pip install -q '.[build]' && "
    ".venv/bin/deployopt build --target rpi4 --model demo-sentiment --accept-predicted"
)
OPTION = re.compile(r"(?<![\w/-])--[a-z][a-z-]+")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
TAKES_BUNDLE = {"verify", "run", "report"}
"""Prose names these without their argument."""
OTHER_OPTIONS = {
    "--all": "tools/check.py",
    "--lowest": "tools/bounds.py",
    "--without-turns": "benchmarks/aa.py",
    "--highest": "tools/bounds.py",
    "--check": "tools/generate_docs.py",
    "--release": "examples/package/package.py",
    "--memory": "benchmarks/predict.py",
    "--latency": "benchmarks/predict.py",
    "--train": "examples/mnist-resnet/make.py",
    "--size": "examples/efficientnet-lite/build.py",
    "--bundle": "benchmarks/bench_compress.py",
    "--benchmark-only": "pyproject.toml",
    "--benchmark-json": "pyproject.toml",
    "--install": "benchmarks/verify_over_ssh.py",
    "--deployopt-bundle": "deployopt/testing/plugin.py",
    "--deployopt-proxy": "deployopt/testing/plugin.py",
    "--deployopt-accept-predicted": "deployopt/testing/plugin.py",
}
"""Options of other programs, and a file that has them."""


def read(page: Path) -> str:
    return page.read_text("utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    found = re.findall(rf"^```{language}\n(.*?)^```", read(page), re.MULTILINE | re.DOTALL)
    return [str(block) for block in found]


def commands(page: Path) -> Iterator[list[str]]:
    """Every command line of a page's shell blocks, as words; redirections are left out."""
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            for command in " \0".join(words).split("\0&& "):
                split = command.split(" \0")
                yield split[: split.index(">")] if ">" in split else split


def ours(page: Path) -> list[list[str]]:
    """The words behind `deployopt`, of blocks and of inline code that shows options."""
    found = [words[1:] for words in commands(page) if words and Path(words[0]).name == "deployopt"]
    inline = re.findall(r"`deployopt ([a-z]+(?: [^`]*)?)`", read(page))
    return found + [shlex.split(text) for text in inline]


def parse(words: list[str]) -> None:
    """Parse a command line with the real parser; nothing is run."""
    group: Any = typer.main.get_command(command_line())
    command = group.commands[words[0]]
    filled = [word.strip("[]") for word in words[1:] if word != "…"]
    command.make_context(words[0], filled, parent=group.make_context("deployopt", ["targets"]))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_exist_with_their_options(page: Path) -> None:
    for words in ours(page):
        parse(words if words[1:] or words[0] not in TAKES_BUNDLE else [*words, "BUNDLE"])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_option_is_stale(page: Path) -> None:
    group: Any = typer.main.get_command(command_line())
    parameters = [p for command in (group, *group.commands.values()) for p in command.params]
    known = {"--help", "--debug"}.union(*(parameter.opts for parameter in parameters))
    for option in set(OPTION.findall(read(page))) - known:
        holder = OTHER_OPTIONS.get(option)
        assert holder is not None, f"{option} in {page.name} is nobody's"
        stem = option.removeprefix("--").split("-")[0]
        assert stem in read(ROOT / holder), f"{option} is not in {holder}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(read(page)):
        if not link.startswith(("http://", "https://")):
            assert (page.parent / link).exists(), f"{link} in {page}"


def test_the_first_command_is_the_one_that_is_promised() -> None:
    assert blocks(README, "sh")[0].strip() == FIRST
    assert re.search(r"^```sh\n", read(README), re.MULTILINE)


def test_its_parts_are_there() -> None:
    made, installed, built = (shlex.split(part) for part in FIRST.split(" && "))
    assert made == ["python3", "-m", "venv", ".venv"]
    project = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]
    assert installed[-1] == ".[build]"
    assert "build" in project["optional-dependencies"]
    assert Path(built[0]).name in project["scripts"]
    parse(built[1:])


def test_the_table_of_commands_is_whole() -> None:
    group: Any = typer.main.get_command(command_line())
    rows = re.findall(r"^\| `deployopt ([a-z]+)[^`]*` \|", read(README), re.MULTILINE)
    assert sorted(rows) == sorted(group.commands)


def test_the_exit_codes_are_the_programs() -> None:
    rows = re.findall(r"^\| (\w+) \| .* \| (\d) \|$", read(README), re.MULTILINE)
    assert {word: int(code) for word, code in rows} == {
        "accepted": ExitCode.ACCEPTED,
        "rejected": ExitCode.REJECTED,
        "undecided": ExitCode.UNDECIDED,
    }


def test_the_number_of_targets_is_right() -> None:
    assert len(target_names()) == 13
    assert "Thirteen profiles are shipped" in read(README)


def test_a_target_is_started_as_the_page_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (words,) = [w for w in ours(README) if w[0] == "targets" and "--toml" in w]
    assert run(words) == ExitCode.ACCEPTED
    (tmp_path / "my-board.toml").write_text(capsys.readouterr().out)
    assert deployopt.load_target(tmp_path / "my-board.toml").name == "rpi4"


@pytest.mark.slow
def test_this_machine_is_described_as_the_page_says(tmp_path: Path) -> None:
    words = next(w for w in ours(README) if w == ["detect"])
    done = outside([sys.executable, "-m", "deployopt", *words], tmp_path)
    assert done.code == ExitCode.ACCEPTED, done.err
    (tmp_path / "my-board.toml").write_text(done.out)
    assert deployopt.load_target(tmp_path / "my-board.toml").budgets is not None


def test_python_on_the_page_calls_what_is_there() -> None:
    checked = 0
    for block in blocks(README, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                assert node.module == "deployopt"
                assert all(hasattr(deployopt, name.name) for name in node.names)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "deployopt.build":
                known = inspect.signature(deployopt.build).parameters
                assert {word.arg for word in node.keywords} <= set(known)
                checked += 1
    assert checked == 1
    assert {"verdict", "bundle"} <= {*deployopt.BuildResult.__struct_fields__}
