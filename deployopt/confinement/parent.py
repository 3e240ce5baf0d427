"""A child process's ties to the one that started it: it ends with it, and hears it in whole pieces.

In: the parent's number, a socket. Only the standard library is needed.
"""

import ctypes
import os
import signal
import socket
from typing import Final

from deployopt.core.errors import ExitCode

_PR_SET_PDEATHSIG: Final = 1


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies, however that happens."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(ExitCode.FAILED)


def receive(channel: socket.socket, length: int) -> bytes:
    """Exactly so many bytes; raises EOFError where the parent has closed the channel before."""
    data = bytearray()
    while len(data) < length:
        part = channel.recv(length - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)
