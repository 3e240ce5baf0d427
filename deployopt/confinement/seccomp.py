"""Seccomp: the kernel refuses a process what no reader of a file needs to ask of it.

No new processes or programs, sockets, debugging, mounts, modules, keys. In: nothing. Out: whether
the filter is in force from then on; False on a kernel or an architecture that is not known, and
nothing has changed. The filter is a few instructions of classic BPF, written here: pyseccomp, which
would write them, needs a library of the system that a device may lack. Each call costs some
nanoseconds more, so no process that is timed has it.
"""

import ctypes
import os
from collections.abc import Mapping
from typing import Final

_PR_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2
_LOAD: Final = 0x20
_JUMP_EQUAL: Final = 0x15
_JUMP_NOT_BELOW: Final = 0x35
_JUMP_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000
_NUMBER_AT: Final = 0
_ARCH_AT: Final = 4
_ARGUMENT_AT: Final = 16
_EPERM: Final = 1
_ENOSYS: Final = 38
_CLONE_THREAD: Final = 0x10000
_X32: Final = 0x40000000
"""Calls of x86's other form begin here; they would slip past the numbers."""
_CLONE3: Final = 435

# Name: the number on x86_64 and on aarch64; -1 where there is no such call.
_REFUSED: Final[Mapping[str, tuple[int, int]]] = {
    "fork": (57, -1), "vfork": (58, -1), "execve": (59, 221), "execveat": (322, 281),
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "kill": (62, 129),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430),
    "open_by_handle_at": (304, 265), "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225),
    "acct": (163, 89), "quotactl": (179, 60), "settimeofday": (164, 170),
    "clock_settime": (227, 112),
}  # fmt: skip
# Machine: the kernel's name for it, its place in the table, its number of `clone`.
_MACHINES: Final[Mapping[str, tuple[int, int, int]]] = {
    "x86_64": (0xC000003E, 0, 56),
    "aarch64": (0xC00000B7, 1, 220),
}


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("when", ctypes.c_uint8),
        ("otherwise", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction)))


def refuse_calls() -> bool:
    """Bind this process and the threads that it starts, for good; `no_new_privs` must be set."""
    machine = _MACHINES.get(os.uname().machine)
    if machine is None:
        return False
    lines = _filter(*machine)
    block = (_Instruction * len(lines))(*(_Instruction(*line) for line in lines))
    program = _Program(len(lines), block)
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def _filter(arch: int, column: int, clone: int) -> list[tuple[int, int, int, int]]:
    """Allow, unless the call is one of ours; a foreign architecture's calls are all refused."""
    numbers = sorted(pair[column] for pair in _REFUSED.values() if pair[column] >= 0)
    # What follows the list: allow, clone's flags (load, test), missing, refused.
    tail = [
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _ARGUMENT_AT),
        (_JUMP_ANY_BIT, 0, 2, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE | _ENOSYS),
        (_RETURN, 0, 0, _REFUSE | _EPERM),
    ]
    flags, missing, refused = 1, 4, 5
    targets = [(number, refused) for number in numbers] + [(_CLONE3, missing), (clone, flags)]
    tests = [
        (_JUMP_EQUAL, len(targets) - at - 1 + where, 0, number)
        for at, (number, where) in enumerate(targets)
    ]
    to_refused = len(tests) + refused
    head = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_JUMP_EQUAL, 0, 2 + to_refused, arch),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_NOT_BELOW, to_refused, 0, _X32),
    ]
    return [*head, *tests, *tail]
