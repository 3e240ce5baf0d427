"""A Ray cluster on this machine: `ray start`, once a node, each in a session of its own."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import psutil

from deployopt.store.short_folders import short_folder
from tests.fakes.sshd import free_port
from tests.functional.conftest import ROOT

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A node that is gone is found out in 5 s, not in 15.
    "RAY_health_check_period_ms": "1000",
}
MISSING = "ray is not installed (pip install 'deployopt[ray]')"


def there_is_ray() -> bool:
    """Whether the tests with one can run."""
    return find_spec("ray") is not None


class Node:
    """One `ray start --block`, and what it started."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def raylet(self) -> psutil.Process:
        """The process that is the node."""
        here = psutil.Process(self.process.pid).children(recursive=True)
        return next(one for one in here if one.name() == "raylet")

    def workers(self) -> list[psutil.Process]:
        """Those that run tasks, or wait for some."""
        return [one for one in self.raylet().children() if "ray::" in " ".join(one.cmdline())]

    def lose(self) -> None:
        """As when its power fails: everything of it, at once."""
        everyone = psutil.Process(self.process.pid).children(recursive=True)
        for one in [*everyone, psutil.Process(self.process.pid)]:
            with suppress(psutil.Error):
                one.send_signal(signal.SIGKILL)
        self.process.wait()


class Cluster:
    """A head that builds, and nodes that are added."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder = self._stack.enter_context(short_folder())
        self.address = f"127.0.0.1:{free_port()}"
        self.environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        """By which it lets a driver in."""
        port = self.address.rpartition(":")[2]
        self.nodes = [self._started(["--head", f"--port={port}", "--include-dashboard=false"], {})]
        self.head = self.nodes[0]

    def add(self, environment: Mapping[str, str] | None = None, within: Sequence[str] = ()) -> Node:
        """One more node, whose cells have this environment; `within`: words before the command."""
        node = self._started([f"--address={self.address}"], environment or {}, within)
        self.nodes.append(node)
        return node

    def stop(self) -> None:
        """All of it."""
        for node in self.nodes:
            if node.process.poll() is None:
                node.lose()
        self._stack.close()

    def _started(
        self, words: list[str], environment: Mapping[str, str], within: Sequence[str] = ()
    ) -> Node:
        head = "--head" in words
        more = [f"--temp-dir={self._folder}"] if head else []
        command = [
            *within,
            *(str(Path(sys.executable).with_name("ray")), "start", "--block", *words, *more),
            *("--num-cpus=1", "--object-store-memory=80000000"),
            *(["--disable-usage-stats"] if head else []),
        ]
        log = self._folder / f"start-{secrets.token_hex(4)}.log"
        inherited = {"PYTHONPATH": str(ROOT), **_SETTINGS} | self.environment
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                env=os.environ | inherited | dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + 180
        while b"--block" not in log.read_bytes() and time.monotonic() < end:
            if process.poll() is not None:
                raise AssertionError(log.read_text())
            time.sleep(0.1)
        return Node(process)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """One that is stopped at the end."""
    cluster = Cluster()
    try:
        yield cluster
    finally:
        cluster.stop()
