"""What a process gives up holds in that process, and what it keeps works."""

import subprocess
import sys
from pathlib import Path

import pytest

from deployopt.confinement.confine import Confined, offered

HELD = offered() or Confined(no_network=False, no_new_privileges=False, landlock=0, seccomp=False)


def run(code: str, *arguments: object) -> str:
    """What a process says that runs this, one word a line."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_this_machine_s_offer_is_known() -> None:
    assert offered() is not None
    assert HELD.no_new_privileges


@pytest.mark.skipif(not HELD.landlock, reason="no Landlock here")
def test_a_timed_process_writes_where_it_was_told_alone(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from deployopt.confinement.confine import confine_measured
good, bad = Path(sys.argv[1]) / "good", Path(sys.argv[1]) / "bad"
good.mkdir(), bad.mkdir()
(bad / "there").write_text("x")
print(confine_measured([good]).landlock > 0)
(good / "new").write_text("x")
(good / "new").rename(good / "moved")
print((bad / "there").read_text())
for what in (lambda: (bad / "new").write_text("x"), (bad / "there").unlink):
    try:
        what()
        print("done")
    except PermissionError:
        print("refused")
open("/dev/null", "w").write("x")
"""
    assert run(code, tmp_path).split() == ["True", "x", "refused", "refused"]


@pytest.mark.skipif(not HELD.no_network, reason="no networks of their own here")
def test_a_timed_process_has_no_network() -> None:
    code = """
import os
from deployopt.confinement.confine import confine_measured
before = os.readlink("/proc/self/ns/net")
user = os.getuid()
print(confine_measured(None).no_network, os.readlink("/proc/self/ns/net") != before)
print(user == os.getuid(), sorted(os.listdir("/sys/class/net")) != [])
"""
    assert run(code).split()[:3] == ["True", "True", "True"]


def test_limits_hold(tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from deployopt.confinement.confine import limit_resources, limit_time
limit_resources(64 << 20)
limit_time(5)
print(resource.getrlimit(resource.RLIMIT_CORE)[0], resource.getrlimit(resource.RLIMIT_CPU)[0] >= 5)
try:
    bytearray(256 << 20)
    print("got it")
except MemoryError:
    print("too much")
try:
    Path(sys.argv[1]).write_bytes(b"x" * 100)
    print("wrote")
except OSError:
    print("refused")
"""
    assert run(code, tmp_path / "x").split() == ["0", "True", "too", "much", "refused"]


@pytest.mark.skipif(not HELD.no_network, reason="no networks of their own here")
def test_a_user_without_rights_stays_who_it_is_and_dies_with_its_parent() -> None:
    code = """
import ctypes, os, signal
from deployopt.confinement.confine import confine_measured
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
user = os.getuid()
libc = ctypes.CDLL(None)
libc.prctl(1, signal.SIGKILL, 0, 0, 0)
print(confine_measured(None).no_network)
found = ctypes.c_int()
libc.prctl(2, ctypes.byref(found))
print(found.value == signal.SIGKILL, os.getuid() == user)
"""
    left, *kept = run(code).split()
    assert kept == ["True", "True"]
    assert left in {"True", "False"}
