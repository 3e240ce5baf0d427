"""What tests of ssh ask of a device, and what they look for on it."""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import msgspec
import numpy as np
import psutil

from deployopt.core.samples import encode_samples
from deployopt.device.protocol import TimeRequest
from deployopt.device.setup import Setup
from deployopt.remote.ssh_device import connected
from tests.fakes.sshd import Sshd

ASSETS = Path(__file__).parents[1] / "assets"
SETUP = Setup(artifact="a" * 64, model=ASSETS / "text.onnx", threads=1, outputs=("logits",))
BIG = 24 * 2**20
ASKING = """
import sys
from deployopt.device.protocol import decode_request
from deployopt.device.setup import Limits
from deployopt.remote.ssh_device import connected
with connected(sys.argv[1]) as device:
    device.ask(decode_request(open(sys.argv[2], "rb").read()), Limits())
"""
Through = Callable[..., AbstractContextManager[str]]


def round_of(tmp_path: Path, seconds: float = 0.1) -> TimeRequest:
    # A round has at most so many requests, and lasts only where each takes some milliseconds.
    ids = np.ones((1, 8) if seconds < 1 else (800, 32), dtype=np.int64)
    feed = {"input_ids": ids, "attention_mask": ids}
    path = tmp_path / f"feeds-{seconds}.npz"
    if not path.exists():
        path.write_bytes(encode_samples([feed] * 40))
    return TimeRequest(setup=SETUP, feeds=path, expected=None, requests=30, min_s=seconds, seed=1)


def with_weights(tmp_path: Path, size: int = BIG) -> Setup:
    """The model with a large file beside it, that is sent and never read."""
    folder = tmp_path / "large"
    folder.mkdir()
    shutil.copy(SETUP.model, folder / "model.onnx")
    (folder / "model.onnx.data").write_bytes(os.urandom(size))
    return msgspec.structs.replace(SETUP, model=folder / "model.onnx")


def is_clean(sshd: Sshd) -> bool:
    """Whether nothing of a session runs, not even without its sshd, and no folder of it is left."""
    runs = sshd.folder / "cache/deployopt/device/runs"
    return not sshd.sessions() and not servers(sshd) and not list(runs.glob("*"))


def servers(sshd: Sshd) -> list[psutil.Process]:
    """Servers that work in this device's folder, whoever their parent is now."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if "deployopt.device.serving" in words and words[-1].startswith(str(sshd.folder)):
                found.append(process)
    return found


def running(sshd: Sshd, word: str) -> list[psutil.Process]:
    """The processes there with this word; one may end while it is looked at."""
    found = []
    for process in sshd.sessions():
        with suppress(psutil.Error):
            if word in process.cmdline():
                found.append(process)
    return found


def children(sshd: Sshd) -> list[psutil.Process]:
    return running(sshd, "deployopt.device.child")


def touch(url: str) -> None:
    with connected(url):
        pass
