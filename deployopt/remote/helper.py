"""The program that is sent to a device: says what it is, takes files, furnishes, starts the server.

It runs there, before anything is installed, so it needs Python's standard library and nothing else;
together with the modules that it imports it is sent as text (remote/program.py). In: words and
files on stdin. Out: words on stdout. Its end is the server of device/serving.py, which takes the
same connection over.
"""

import json
import os
import platform
import signal
import struct
import sys
import time
from pathlib import Path

from deployopt.device.framing import Channel, ConnectionEndedError, preamble
from deployopt.device.transfer import take_file, tell_missing
from deployopt.remote.claiming import InUseError, TwiceError, hold_device, lock_path, share_device
from deployopt.remote.furnishing import Furnisher, FurnishingError, Wanted, code_folder
from deployopt.store.receiving import Objects

ENDED = 75


def main(nonce: str) -> int:
    """Answer words until the server is to start, or the connection ends."""
    # What is being installed is stopped in order, not left behind.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.write(1, preamble(nonce))
    channel = Channel(0, 1, nonce)
    try:
        root = cache_root()
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        channel.tell(0, "facts", **facts(root))
        Answering(channel, root).answer_all()
    except OSError as error:
        channel.tell(0, "failed", kind="space", message=f"{error.filename}: {error.strerror}.")
    except ConnectionEndedError:
        pass
    return ENDED


def cache_root() -> Path:
    """The folder on the device that is deployopt's."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser().absolute() / "deployopt" / "device"


def facts(root: Path) -> dict[str, object]:
    """What decides whether, and how, the device can be furnished."""
    disk = os.statvfs(root)
    libc, version = platform.libc_ver()
    return {
        "python": platform.python_version(),
        "arch": platform.machine(),
        "bits": struct.calcsize("P") * 8,
        "system": sys.platform,
        "libc": libc,
        "libc_version": version,
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "disk_free_bytes": disk.f_bavail * disk.f_frsize,
        "boot": boot_id(),
        "clock_s": time.clock_gettime(time.CLOCK_REALTIME),
        "root": str(root),
    }


def boot_id() -> str:
    """Another one after every start of the device."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class Answering:
    """The words that this program knows."""

    def __init__(self, channel: Channel, root: Path) -> None:
        self._channel = channel
        self._root = root
        self._objects = Objects(root)
        self._claim: int | None = None

    def answer_all(self) -> None:
        """Until the connection ends; `serve` does not come back."""
        while True:
            word = json.loads(self._channel.hear())
            number, op, body = int(word["number"]), str(word["op"]), word["body"]
            if op == "have":
                tell_missing(self._channel, number, self._objects, body["digests"])
            elif op == "put":
                take_file(self._channel, number, self._objects, body["sha256"], body["size"])
            elif op == "claim":
                self._use(number, str(body["token"]), hold=bool(body["hold"]))
            elif op == "furnish":
                self._furnish(number, body)
            elif op == "serve":
                self._serve(number, body)

    def _furnish(self, number: int, body: Wanted) -> None:
        furnisher = Furnisher(self._root, self._objects, lambda: self._sign(number))
        try:
            python = furnisher.furnish(body)
        except FurnishingError as error:
            self._channel.tell(number, "failed", kind=error.kind, message=str(error))
        except OSError as error:
            message = f"{error.filename or self._root}: {error.strerror}."
            self._channel.tell(number, "failed", kind="space", message=message)
        else:
            self._channel.tell(number, "furnished", python=python)

    def _use(self, number: int, token: str, *, hold: bool) -> None:
        """Keep the device's lock, in this process and in the server that it becomes."""
        try:
            self._claim = hold_device(token) if hold else share_device(token)
        except (InUseError, TwiceError) as error:
            kind = "usage" if isinstance(error, TwiceError) else "device"
            self._channel.tell(number, "failed", kind=kind, message=str(error))
            return
        except OSError as error:
            message = f"{error.filename or lock_path()}: {error.strerror}."
            self._channel.tell(number, "failed", kind="device", message=message)
            return
        os.set_inheritable(self._claim, True)  # noqa: FBT003 -- it takes no name
        self._channel.tell(number, "claimed")

    def _sign(self, number: int) -> None:
        self._channel.tell(number, "working", share=0.5, what="installing")

    def _serve(self, number: int, body: dict[str, str]) -> None:
        """Become the server."""
        python, code = body["python"], str(code_folder(self._root, body["code"]))
        if not os.access(python, os.X_OK):
            message = f"There is no Python at {python}."
            self._channel.tell(number, "failed", kind="device", message=message)
            return
        kept = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "TZ")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment |= {"PYTHONPATH": code, "PYTHONNOUSERSITE": "1", "LC_ALL": "C.UTF-8"}
        words = [python, "-P", "-m", "deployopt.device.serving"]
        words += [self._channel.nonce, str(number), str(self._root)]
        os.chdir("/")
        os.execve(python, words, environment)  # noqa: S606 -- no shell is wanted
