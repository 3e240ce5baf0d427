"""A full disk, a limit on the size of files: exit 5, nothing left, the old bundle untouched."""

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployopt.store.verifying import verify_bundle
from tests.fakes import hurried
from tests.functional.conftest import child_environment

pytestmark = pytest.mark.slow


def build(
    folder: Path, words: list[object], preexec: Callable[[], None] | None = None
) -> "subprocess.CompletedProcess[str]":
    command = [str(word) for word in (*hurried.COMMAND, "build", "--quiet", *words)]
    return subprocess.run(
        command, cwd=folder, env=child_environment(), capture_output=True, text=True, check=False,
        timeout=300, preexec_fn=preexec,
    )  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def limited_to(size: int) -> Callable[[], None]:
    """Files of at most so many bytes, for the command and its children."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


@pytest.mark.parametrize("size", [0, 20_000])
def test_a_limit_on_the_size_of_files(
    tmp_path: Path, mlp: Path, arrays: Path, here: Path, size: int
) -> None:
    words: list[object] = ["-t", here, "-m", mlp, "-d", arrays, "-o", "b", "--store", "store"]
    done = build(tmp_path, words, limited_to(size))
    refused(done)
    assert [path.name for path in tmp_path.iterdir() if path.name != "store"] == []
    assert not list((tmp_path / "store").glob("staging/*"))


def test_a_limit_met_later_leaves_the_old_bundle(
    tmp_path: Path, mlp: Path, arrays: Path, here: Path
) -> None:
    """In a child's answers, which must not count against the candidate; then in the bundle."""
    words: list[object] = ["-m", mlp, "-d", arrays, "-o", tmp_path / "b", "--store", "store"]
    assert build(tmp_path, [*words, "-t", here]).returncode in {0, 3}
    (old,) = tmp_path.glob("b*")
    before = contents(old)
    changed = tmp_path / "here.toml"
    text = here.read_text("utf-8").replace("[budgets]", "[workload]\nbatch = 2\n\n[budgets]")
    changed.write_text(text, "utf-8")
    for size in (2_000, 30_000):
        done = build(tmp_path, [*words, "-t", changed], limited_to(size))
        refused(done)
        assert "candidate failed" not in done.stderr
        assert contents(old) == before
    verify_bundle(old)
    assert [path.name for path in tmp_path.glob("b*")] == [old.name]


def refused(done: "subprocess.CompletedProcess[str]") -> None:
    assert done.returncode == 5, done.stderr
    assert "Traceback" not in done.stderr
    assert "file-size limit" in " ".join(done.stderr.split())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own in memory; only root may make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "deployopt-test", str(disk)],
        capture_output=True, check=False,
    ) if os.geteuid() == 0 else None  # fmt: skip
    if made is None or made.returncode:
        pytest.skip("no small file system can be made here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_under_the_store(
    small_disk: Path, tmp_path: Path, mlp: Path, arrays: Path, here: Path
) -> None:
    store = small_disk / "store"
    words: list[object] = ["-t", here, "-m", mlp, "-d", arrays, "-o", "b", "--store", store]
    done = build(tmp_path, words)
    assert done.returncode == 5, done.stderr
    assert "Traceback" not in done.stderr
    assert "needs 64 MiB free" in done.stderr
    assert "DEPLOYOPT_HOME" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["disk"]
    assert not list(store.glob("staging/*"))


def test_a_full_disk_under_the_bundle(
    small_disk: Path, tmp_path: Path, mlp: Path, arrays: Path, here: Path
) -> None:
    words: list[object] = ["-t", here, "-m", mlp, "-d", arrays, "--store", tmp_path / "store"]
    done = build(tmp_path, [*words, "-o", small_disk / "b"])
    assert done.returncode == 5, done.stderr
    assert "Traceback" not in done.stderr
    assert "The bundle needs" in done.stderr
    assert list(small_disk.iterdir()) == []
