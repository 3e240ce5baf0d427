"""The shim itself: what it counts, and that it strikes where it is told to."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.builds import environment
from tests.faults.replay import read_trace

PROGRAM = """
import json, os, sys
place = sys.argv[1]
os.mkdir(place + "/folder")
fd = os.open(place + "/folder/a", os.O_RDWR | os.O_CREAT)
done = [os.write(fd, b"1234"), os.pwrite(fd, b"5678", 4), os.writev(fd, [b"90", b"ab"])]
os.fsync(fd)
os.fdatasync(fd)
os.ftruncate(fd, 2)
os.close(fd)
os.rename(place + "/folder/a", place + "/folder/b")
folder = os.open(place + "/folder", os.O_RDONLY)
os.link("b", "c", src_dir_fd=folder, dst_dir_fd=folder)
os.rename("c", "d", src_dir_fd=folder, dst_dir_fd=folder)
os.unlink("d", dir_fd=folder)
os.fsync(folder)
os.chdir(place)
with open("e", "wb") as file:
    file.write(b"x")
os.unlink("e")
os.unlink("folder/b")
os.rmdir("folder")
with open(place + "-elsewhere", "wb") as file:
    file.write(b"not counted")
print(json.dumps(done))
"""
CALLS = ("mkdir", "create", *["write"] * 3, "fsync", "fsync", "empty", "rename", "link", "rename")
CALLS += ("remove", "fsync-folder", "create", "write", *["remove"] * 3)
KILLED = -9


def run(
    shim: Path, folder: Path, at: int = 0, kind: str = ""
) -> "subprocess.CompletedProcess[str]":
    (folder / "place").mkdir(parents=True)
    (folder / "trace").mkdir()
    armed = environment(
        shim, SHIM_FOLDERS=str(folder / "place"), SHIM_AT=str(at), SHIM_KIND=kind,
        SHIM_TRACE=str(folder / "trace"),
    )  # fmt: skip
    command = [sys.executable, "-S", "-c", PROGRAM, str(folder / "place")]
    return subprocess.run(
        command, env=armed, capture_output=True, text=True, check=False, timeout=60
    )


def test_every_call_is_counted_and_named(shim: Path, tmp_path: Path) -> None:
    done = run(shim, tmp_path)
    assert done.returncode == 0, done.stderr
    calls = read_trace(tmp_path / "trace")
    assert tuple(call.what for call in calls) == CALLS
    assert [call.number for call in calls] == list(range(1, len(CALLS) + 1))
    assert (tmp_path / "trace" / "6").read_bytes() == b"1234"[:4] + b"90ab"
    assert calls[10].other == tmp_path / "place" / "folder" / "d"


@pytest.mark.parametrize("kind", ["kill", "tear", "eio", "enospc", "full"])
def test_it_strikes_at_each(shim: Path, tmp_path: Path, kind: str) -> None:
    for at in range(1, len(CALLS) + 1):
        done = run(shim, tmp_path / str(at), at, kind)
        expected = {"kill": "", "tear": "", "eio": "Errno 5", "enospc": "Errno 28"}
        if kind in {"kill", "tear"}:
            assert done.returncode == KILLED
        elif kind == "full" and CALLS[at - 1] in {"remove", "empty"}:
            assert done.returncode == int(at not in {16, 17, 18})
        else:
            assert done.returncode == 1
            assert expected.get(kind, "Errno 28") in done.stderr
        made = [call.what for call in read_trace(tmp_path / str(at) / "trace")]
        assert made[: at - 1] == list(CALLS[: at - 1])
        if kind != "full":
            assert len(made) == at - 1 or kind in {"eio", "enospc"}


def test_a_torn_write_leaves_half(shim: Path, tmp_path: Path) -> None:
    run(shim, tmp_path, 3, "tear")
    assert (tmp_path / "place" / "folder" / "a").read_bytes() == b"12"


def test_a_short_write_is_no_error(shim: Path, tmp_path: Path) -> None:
    done = run(shim, tmp_path, 3, "short")
    assert json.loads(done.stdout) == [2, 2, 2]
