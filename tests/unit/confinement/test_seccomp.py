"""The filter refuses what it says, lets the rest be, and is the same program everywhere."""

import os
import subprocess
import sys

import pytest

from deployopt.confinement.confine import offered
from deployopt.confinement.seccomp import _ALLOW, _MACHINES, _REFUSE, _filter

CODE = """
import ctypes, os, socket, threading
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
from deployopt.confinement.seccomp import refuse_calls
print(refuse_calls())
def tried(what):
    try:
        what()
        return "done"
    except OSError as error:
        return os.strerror(error.errno).split()[0]
print(tried(socket.socket), tried(os.fork), tried(lambda: os.execv("/bin/true", ["true"])))
print(tried(lambda: os.kill(1, 0)), tried(socket.socketpair), tried(lambda: open("/dev/null")))
ran = threading.Event()
threading.Thread(target=ran.set).start()
print(ran.wait(5))
"""
HELD = offered()


@pytest.mark.skipif(not (HELD and HELD.seccomp), reason="no seccomp here")
def test_calls_are_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", CODE], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    no = "Operation"
    assert done.stdout.split() == ["True", no, no, no, no, "done", "done", "True"]


@pytest.mark.parametrize("machine", sorted(_MACHINES))
def test_every_jump_lands_on_its_verdict(machine: str) -> None:
    """The program interpreted here, as the kernel would, for each architecture."""
    arch, column, clone = _MACHINES[machine]
    lines = _filter(arch, column, clone)

    def verdict(number: int, *, of: int = arch, argument: int = 0) -> int:
        at = loaded = 0
        while True:
            code, when, otherwise, value = lines[at]
            if code == 0x06:
                return value
            if code == 0x20:
                loaded, at = {0: number, 4: of, 16: argument}[value], at + 1
                continue
            true = {
                0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)
            }[code]  # fmt: skip
            at += 1 + (when if true else otherwise)

    refused = _REFUSE | 1
    numbers = {"x86_64": (41, 57, 59, 62), "aarch64": (198, 221, 129)}[machine]
    assert [verdict(number) for number in numbers] == [refused] * len(numbers)
    assert verdict(0) == verdict(1) == _ALLOW
    assert verdict(435) == _REFUSE | 38
    assert verdict(clone) == refused
    assert verdict(clone, argument=0x10000) == _ALLOW
    assert verdict(0, of=0x40000003) == refused
    assert verdict(0x40000000 + 59) == refused


def test_the_machine_that_runs_this_is_known_or_left_alone() -> None:
    assert HELD is not None
    assert HELD.seccomp or os.uname().machine not in _MACHINES or not HELD.no_new_privileges
