"""What a process that opens a stranger's file gives up before it opens it, for good.

In: limits, and the paths that it may use. Out: which of the kernel's means are in force; what a
kernel or a container lacks is left out, and said. Only the standard library is needed, so that the
same holds on a device. Called by the process itself, before it has threads.
"""

import ctypes
import os
import resource
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from deployopt.confinement.landlock import keep_to_files
from deployopt.confinement.seccomp import refuse_calls

_PR_SET_PDEATHSIG: Final = 1
_PR_GET_PDEATHSIG: Final = 2
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_NEW_USER: Final = 0x10000000
_NEW_NETWORK: Final = 0x40000000
FILES_MAX: Final = 256
"""Open at once."""
_SYSTEM: Final = (
    "/usr", "/lib", "/lib64", "/bin", "/opt", "/etc/ld.so.cache", "/etc/ld.so.conf",
    "/etc/localtime", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys",
    "/sys", "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random",
)  # fmt: skip
"""Of /proc no more: another process's environment may hold a token."""
_DEVICES: Final = Path("/dev")
_TRY_S: Final = 20
_CAPABILITIES_VERSION: Final = 0x20080522
_FILE_CAPABILITIES: Final = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH; nobody but root has them to keep."""


class Confined(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in force in a process."""

    no_network: bool
    no_new_privileges: bool
    landlock: int
    """The version; 0: none."""
    seccomp: bool


def confine_reader(readable: Iterable[Path], writable: Iterable[Path] = ()) -> Confined:
    """For a process that reads one stranger's files and answers on a descriptor that it has.

    It sees the system's libraries, this installation and `readable`; it writes nothing but what is
    below `writable`, starts nothing, and has no network.
    """
    privileges = _forbid_privileges()
    network = leave_network()
    _drop_capabilities()
    own = (Path(path) for path in (*_SYSTEM, *_installation()))
    landlock = keep_to_files([*own, *readable], [*writable, Path(os.devnull)])
    return Confined(
        no_network=network,
        no_new_privileges=privileges,
        landlock=landlock,
        seccomp=privileges and refuse_calls(),
    )


def confine_measured(writable: Iterable[Path] | None) -> Confined:
    """For a process that is timed: what costs nothing once it is in force.

    It reads what it likes, and writes below `writable` and to devices only; None leaves files as
    they are, for drivers that keep what they compile.
    """
    privileges = _forbid_privileges()
    network = leave_network()
    landlock = 0 if writable is None else keep_to_files(None, [*writable, _DEVICES])
    return Confined(
        no_network=network, no_new_privileges=privileges, landlock=landlock, seccomp=False
    )


def leave_network() -> bool:
    """Move into a network of its own, which has no way out; False where that is not allowed."""
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    # Root keeps its rights over files where it can have a network without being another user.
    if libc.unshare(_NEW_NETWORK) == 0:
        return True
    dies_with_parent = ctypes.c_int()
    libc.prctl(_PR_GET_PDEATHSIG, ctypes.byref(dies_with_parent))
    if libc.unshare(_NEW_USER | _NEW_NETWORK) != 0:
        return False
    # The kernel forgets both where it takes the new rights for another user's.
    libc.prctl(_PR_SET_PDEATHSIG, dies_with_parent.value, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with suppress(OSError):
            _tell_kernel(Path("/proc/self") / name, text)
    return True


def limit_resources(memory_bytes: int) -> None:
    """No core file, no growth of any file, few open files, and so much more address space."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, FILES_MAX)
    _limit(resource.RLIMIT_AS, _address_space() + memory_bytes)


def limit_time(cpu_s: int) -> None:
    """So much more processor time, then SIGXCPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(used.ru_utime + used.ru_stime) + 1 + cpu_s
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def offered() -> Confined | None:
    """What this machine puts in force, tried in a process of its own; None where that fails."""
    try:
        said = subprocess.run(
            [sys.executable, "-P", "-m", "deployopt.confinement.confine"],
            capture_output=True,
            timeout=_TRY_S,
            check=True,
        ).stdout
        return msgspec.json.decode(said, type=Confined)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError):
        return None


def _forbid_privileges() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)


def _drop_capabilities() -> None:
    """Root's rights but those over files, which may belong to anyone."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    # Twice effective, permitted, inheritable: the low and the high half.
    sets = (ctypes.c_uint32 * 6)(_FILE_CAPABILITIES, _FILE_CAPABILITIES, 0, 0, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(ctypes.byref(header), ctypes.byref(sets)) != 0:
        sets = (ctypes.c_uint32 * 6)()
        libc.capset(ctypes.byref(header), ctypes.byref(sets))


def _installation() -> list[str]:
    """Where Python and the packages are, an editable install's folder among them."""
    package = Path(__file__).parent.parent
    found = [sys.prefix, sys.base_prefix, sys.exec_prefix, str(package), *sys.path]
    return [path for path in found if Path(path).is_absolute() and Path(path) != Path("/")]


def _tell_kernel(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _limit(kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(kind, (bound, bound))


def _address_space() -> int:
    pages = Path("/proc/self/statm").read_text("ascii").split()[0]
    return int(pages) * os.sysconf("SC_PAGESIZE")


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(confine_reader(())).decode())
