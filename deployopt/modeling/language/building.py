"""A causal language model's folder to a graph for onnxruntime-genai, by that project's own builder.

In: a folder in Hugging Face form and the builder's options. Out: genai_config.json, model.onnx with
its data, tokenizer files, and what building took. The builder runs in a confined process of its
own; it is stopped when its time is over, or before the machine has no memory left. What it writes
about this machine is taken out, so that the same model gives the same bytes.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import psutil

from deployopt.confinement.environment import bare_environment
from deployopt.core.errors import ExitCode, StepError
from deployopt.core.text import safe_text
from deployopt.modeling.language.builder_child import UNKNOWN, Order
from deployopt.store.staging import remove_tree

CONFIG: Final = "genai_config.json"
GRAPH: Final = "model.onnx"
CHILD: Final = "deployopt.modeling.language.builder_child"
TIMEOUT_S: Final = 3600.0
MEMORY_LEFT_BYTES: Final = 256 * 2**20
"""The builder is stopped when the machine has less to give."""
_TOKENIZER_CONFIG: Final = "tokenizer_config.json"
_WATCH_S: Final = 0.1
_TAIL: Final = 8_000
_SHOWN: Final = 400
_SCRATCH: Final = "builder-scratch"
_PASSED_ON: Final = ("PATH", "LD_LIBRARY_PATH")
# What tells of this machine, and not of the model.
_LOCAL: Final = frozenset({"is_local", "local_files_only", "name_or_path", "_name_or_path"})


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The builder's precision, and its options as NAME=VALUE."""

    precision: str
    options: tuple[str, ...] = ()
    threads: int = 1
    timeout_s: float = TIMEOUT_S


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What it took."""

    seconds: float
    peak_bytes: int
    """The most memory that the builder had resident."""


class UnknownArchitectureError(StepError):
    """The builder knows no model of that class."""


def build_decoder(source: Path, destination: Path, wanted: Wanted) -> Built:
    """Fill `destination`, an empty folder that exists.

    Raises:
        UnknownArchitectureError: the builder does not know the model's class.
        StepError: it failed, took too long, or there was too little memory.
    """
    scratch = destination / _SCRATCH
    (scratch / "cache").mkdir(parents=True)
    try:
        built = _run(_order(source, destination, scratch / "cache", wanted), scratch, wanted)
    finally:
        remove_tree(scratch)
    missing = [name for name in (CONFIG, GRAPH) if not (destination / name).is_file()]
    if missing:
        raise StepError(f"The model builder ended well and wrote no {missing[0]}.")
    for name in (CONFIG, _TOKENIZER_CONFIG):
        _write_plainly(destination / name)
    return built


def _order(source: Path, destination: Path, cache: Path, wanted: Wanted) -> Order:
    return Order(
        source=str(source.absolute()),
        destination=str(destination.absolute()),
        cache=str(cache.absolute()),
        precision=wanted.precision,
        options=wanted.options,
        parent=os.getpid(),
    )


def _run(order: Order, scratch: Path, wanted: Wanted) -> Built:
    settings = {
        "LC_ALL": "C.UTF-8",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": str(wanted.threads),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "TOKENIZERS_PARALLELISM": "false",
    }
    log = scratch / "log"
    start = time.monotonic()
    with log.open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 -- an argument list of ours, no shell
            [sys.executable, "-P", "-W", "ignore", "-m", CHILD,
                msgspec.json.encode(order).decode()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
            cwd=scratch,
            env=bare_environment(_PASSED_ON, settings),
        )  # fmt: skip
        try:
            status, peak, stopped = _watched(process, start + wanted.timeout_s)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if status != ExitCode.ACCEPTED:
        raise _failed(status, stopped, _tail(log), peak)
    return Built(seconds=time.monotonic() - start, peak_bytes=peak)


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


def _failed(status: int, stopped: str, tail: str, peak: int) -> StepError:
    if status == UNKNOWN:
        return UnknownArchitectureError("The model builder does not know the model's class.")
    if stopped == "time":
        return StepError("The model builder took too long and was stopped. Take a smaller model.")
    short = status == -signal.SIGKILL or "MemoryError" in tail or "can't allocate memory" in tail
    if stopped == "memory" or short:
        return StepError(
            f"The model builder was stopped for want of memory, at {peak / 2**30:.1f} GiB. It "
            "needs about three times the model's weights; build on a machine with more memory, or "
            "take a smaller model."
        )
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    last = safe_text(lines[-1] if lines else f"exit {status}", _SHOWN)
    return StepError(f"The model builder of onnxruntime-genai failed: {last}")


def _tail(log: Path) -> str:
    with log.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - _TAIL))
        return stream.read().decode("utf-8", "replace").replace("\r", "\n")


def _write_plainly(path: Path) -> None:
    """The same settings without those that name this machine, keys in order."""
    if not path.is_file():
        return
    found: Mapping[str, object] = json.loads(path.read_text("utf-8"))
    kept = {name: value for name, value in found.items() if name not in _LOCAL}
    text = json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")
