"""The same files give the same archives, whoever builds them, where and when."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.build_wheel import ROOT, build

pytest.importorskip("hatchling")
KEPT = ("deployopt", "targets", "pyproject.toml", "README.md", "LICENSE", ".gitignore")


def checkout(folder: Path) -> Path:
    """What the wheel is made of; the modes and times that another checkout may have."""
    folder.mkdir(parents=True)
    for name in KEPT:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


@pytest.mark.slow
def test_two_builds_in_other_surroundings_are_the_same_bytes(tmp_path: Path) -> None:
    first = checkout(tmp_path / "one")
    second = checkout(tmp_path / "a longer name" / "two")
    for path in second.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700 if path.is_dir() else 0o640)
    build(first, tmp_path / "made")
    words = [
        sys.executable,
        "-m",
        "tools.build_wheel",
        f"{tmp_path}/again",
        "--source",
        str(second),
    ]
    surroundings = {"TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "1", "PYTHONHASHSEED": "7"}
    told = subprocess.run(
        words, cwd=ROOT, env={**os.environ, **surroundings}, umask=0o077, check=True,
        capture_output=True, text=True,
    ).stdout  # fmt: skip
    made, again = digests(tmp_path / "made"), digests(tmp_path / "again")
    assert made == again
    assert sorted(name.rpartition(".")[2] for name in made) == ["gz", "whl"]
    assert {line.split()[0] for line in told.splitlines()} == set(made.values())


@pytest.mark.slow
def test_one_other_byte_is_another_wheel(tmp_path: Path) -> None:
    source = checkout(tmp_path / "source")
    build(source, tmp_path / "made")
    (source / "deployopt" / "py.typed").write_text("\n")
    build(source, tmp_path / "again")
    assert digests(tmp_path / "made") != digests(tmp_path / "again")


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_its_targets_alone(tmp_path: Path) -> None:
    build(checkout(tmp_path / "source"), tmp_path / "made")
    (wheel,) = (tmp_path / "made").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"deployopt"}
    assert "deployopt/targets/rpi4.toml" in names
    assert not [name for name in names if name.endswith((".pyc", ".so"))]


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.whl").touch()
    with pytest.raises(FileExistsError, match="name another folder"):
        build(ROOT, tmp_path)
