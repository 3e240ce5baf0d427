"""The program that is sent."""

import ast
import importlib.resources
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployopt.device.framing import HEADER, frame_kind, preamble
from deployopt.remote.program import MODULES, program
from deployopt.remote.ssh import COMMAND

NONCE = "8" * 32


@pytest.mark.parametrize("name", MODULES)
def test_its_modules_need_the_standard_library_and_each_other_only(name: str) -> None:
    package, _, module = name.rpartition(".")
    tree = ast.parse((importlib.resources.files(package) / f"{module}.py").read_text())
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for imported in names:
            ours = imported in MODULES[: MODULES.index(name)]
            assert ours or imported.split(".")[0] in sys.stdlib_module_names, imported


def test_it_says_what_it_runs_on_and_ends_with_its_input(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        ["/bin/sh", "-c", COMMAND],
        input=program(NONCE),
        env=environment,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.startswith(preamble(NONCE)), done.stderr
    rest = done.stdout.removeprefix(preamble(NONCE))
    _, length = frame_kind(rest[: HEADER.size])
    word = json.loads(rest[HEADER.size : HEADER.size + length])
    assert (word["nonce"], word["number"], word["op"]) == (NONCE, 0, "facts")
    assert word["body"]["root"] == str(tmp_path / "deployopt/device")
    assert done.returncode == 75
    assert len(program(NONCE)) < 40_000


@pytest.mark.parametrize("length", [0, 10, 200, 2000])
def test_a_program_that_comes_in_part_ends_quietly(length: int, tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", COMMAND],
        input=program(NONCE)[:length],
        env={"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 75
    assert done.stderr == b""
    assert list(tmp_path.iterdir()) == []
