"""Names in a bundle mean one file, inside it, on every file system."""

import posixpath
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.store.paths import path_problem, path_problems


@pytest.mark.parametrize("path", ["model.onnx", "a/b/c-d_e.f", "...", "a/..b", "-x"])
def test_plain_names_are_fine(path: str) -> None:
    assert path_problem(path) is None


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/etc/passwd", "../x", "a/../../x", "a/..", "./a", "a/./b", "a//b", "a/"),
        *("a\\b", "C:x", "a b", "a\n", "é", "a\x00", "a\u202eb", "~", "$HOME", "a" * 201),
        *("a/b/c/d/e/f/g/h/i", "manifest.json", "Manifest.JSON", "manifest.json.sha256"),
        *("verifications/x", "VERIFICATIONS/x", "verifications"),
    ],
)
def test_anything_else_is_not(path: str) -> None:
    assert path_problem(path) is not None


@given(st.text(alphabet="ab./\\-~ \x00é", max_size=12))
def test_an_accepted_path_stays_inside(path: str) -> None:
    if path_problem(path) is None:
        assert posixpath.normpath(posixpath.join("/bundle", path)) == f"/bundle/{path}"


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a", "a"], "beside"),
        (["model.onnx", "Model.onnx"], "beside"),
        (["a/x", "A/y"], "written otherwise"),
        (["a", "a/b"], "both a file and a folder"),
        (["A", "a/b"], "both a file and a folder"),
        (["../a", "b"], "relative|normal"),
    ],
)
def test_names_that_fall_together_are_refused(paths: list[str], message: str) -> None:
    (problem,) = path_problems(paths)
    assert re.search(message, problem)


def test_every_problem_is_listed() -> None:
    assert len(path_problems(["/a", "..", "ok", "OK"])) == 3
    assert path_problems(["a/b", "a/c", "d"]) == []
