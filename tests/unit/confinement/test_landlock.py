"""Landlock's rights, tried in a process that has them."""

import subprocess
import sys
from pathlib import Path

import pytest

from deployopt.confinement.landlock import landlock_version

CODE = """
import os, sys
from pathlib import Path
from deployopt.confinement.landlock import keep_to_files
folder = Path(sys.argv[1])
print(keep_to_files([folder / "seen", folder / "missing", Path("/usr")], [folder / "seen/own"]))
def tried(what):
    try:
        what()
        return "done"
    except PermissionError:
        return "refused"
print(tried((folder / "seen/file").read_text), tried((folder / "hidden/file").read_text))
print(tried(lambda: (folder / "seen/file").write_text("x")))
print(tried(lambda: (folder / "seen/own/new").write_text("x")))
print(tried(lambda: os.symlink("/etc/passwd", folder / "seen/link")))
print(tried((folder / "seen/away").read_text), tried(lambda: os.listdir(folder / "hidden")))
print(tried(lambda: os.execv("/usr/bin/env", ["env"])))
print(tried(lambda: os.truncate(folder / "seen/file", 0)))
"""


@pytest.mark.skipif(not landlock_version(), reason="no Landlock here")
def test_only_what_was_named_can_be_used(tmp_path: Path) -> None:
    for name in ("seen/own", "hidden"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("seen/file", "hidden/file"):
        (tmp_path / name).write_text("x", encoding="ascii")
    (tmp_path / "seen/away").symlink_to(tmp_path / "hidden/file")
    done = subprocess.run(
        [sys.executable, "-P", "-c", CODE, str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    version, *words = done.stdout.split()
    assert int(version) == landlock_version()
    refused = "refused"
    assert words[:7] == ["done", refused, refused, "done", refused, refused, refused]
    assert words[7] == refused
    assert words[8] == (refused if landlock_version() >= 3 else "done")
