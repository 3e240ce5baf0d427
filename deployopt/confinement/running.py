"""A program of another project's in a confined process of its own, watched until it ends.

In: a module of ours that confines itself and then runs the program, its order, and limits. Out: how
long it took and how much memory. It is stopped when its time is over, or before the machine has no
memory left.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec
import psutil

from deployopt.confinement.environment import bare_environment
from deployopt.core.errors import ExitCode, StepError
from deployopt.core.text import safe_text

TIMEOUT_S: Final = 3600.0
MEMORY_LEFT_BYTES: Final = 256 * 2**20
"""The process is stopped when the machine has less to give."""
_WATCH_S: Final = 0.1
_TAIL: Final = 8_000
_SHOWN: Final = 400
_PASSED_ON: Final = ("PATH", "LD_LIBRARY_PATH")


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What is run: `what` is its name in sentences, `needs` what to say of its memory."""

    what: str
    needs: str
    module: str
    order: msgspec.Struct
    scratch: Path
    threads: int = 1
    timeout_s: float = TIMEOUT_S
    passed_on: tuple[str, ...] = ()
    """Variables of ours that it gets besides the usual ones."""


class Took(msgspec.Struct, frozen=True, kw_only=True):
    """What it took."""

    seconds: float
    peak_bytes: int
    """The most memory that the process had resident."""


class EndedError(StepError):
    """It ended by itself, and not well."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def run_confined(work: Work) -> Took:
    """Run it to its end, in `scratch`, a folder that may be written.

    Raises:
        EndedError: it failed; `status` is what it ended with.
        StepError: it took too long, or there was too little memory.
    """
    settings = {
        "LC_ALL": "C.UTF-8",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "OLIVE_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": str(work.threads),
        # Threads that wait for one another leave the core to whoever else is there.
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "TOKENIZERS_PARALLELISM": "false",
    }
    log = work.scratch / "log"
    start = time.monotonic()
    with log.open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 -- an argument list of ours, no shell
            [sys.executable, "-P", "-W", "ignore", "-m", work.module,
                msgspec.json.encode(work.order).decode()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
            cwd=work.scratch,
            env=bare_environment((*_PASSED_ON, *work.passed_on), settings),
        )  # fmt: skip
        try:
            status, peak, stopped = _watched(process, start + work.timeout_s)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if status != ExitCode.ACCEPTED:
        raise _failed(work, status, stopped, _tail(log), peak)
    return Took(seconds=time.monotonic() - start, peak_bytes=peak)


def _watched(process: "subprocess.Popen[bytes]", end: float) -> tuple[int, int, str]:
    """Exit status, most memory, and why it was stopped, if it was."""
    stopped = ""
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage.ru_maxrss * 1024, stopped
        if not stopped:
            stopped = _must_stop(end)
            if stopped:
                os.killpg(process.pid, signal.SIGKILL)
        time.sleep(_WATCH_S)


def _must_stop(end: float) -> str:
    if time.monotonic() > end:
        return "time"
    return "memory" if psutil.virtual_memory().available < MEMORY_LEFT_BYTES else ""


def _failed(work: Work, status: int, stopped: str, tail: str, peak: int) -> StepError:
    if stopped == "time":
        return StepError(f"{work.what} took too long and was stopped. Take a smaller model.")
    short = status == -signal.SIGKILL or "MemoryError" in tail or "can't allocate memory" in tail
    if stopped == "memory" or short:
        return StepError(
            f"{work.what} was stopped for want of memory, at {peak / 2**30:.1f} GiB. {work.needs}"
        )
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    last = safe_text(lines[-1] if lines else f"exit {status}", _SHOWN)
    return EndedError(f"{work.what} failed: {last}", status)


def _tail(log: Path) -> str:
    with log.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - _TAIL))
        return stream.read().decode("utf-8", "replace").replace("\r", "\n")
