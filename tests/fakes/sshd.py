"""A real sshd on loopback, with keys and a configuration of its own, and a client's with it."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
MISSING = "there is no sshd (apt install openssh-server) or no ssh here"


def there_is_sshd() -> bool:
    """Whether the tests with one can run."""
    return SSHD is not None and shutil.which("ssh") is not None


class Sshd:
    """One running server; `environment` is what its sessions get."""

    def __init__(self, folder: Path, environment: dict[str, str], more: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self.config = folder / "client.conf"
        self._environment = environment
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("host", "user"):
            make_key(folder / name)
        shutil.copy(folder / "user.pub", folder / "authorized")
        (folder / "authorized").chmod(0o600)
        self.know_host()
        self.write_client()

    @property
    def url(self) -> str:
        return f"ssh://127.0.0.1:{self.port}"

    def write_client(self, *, port: int | None = None, more: str = "") -> None:
        """The client's configuration: its key, its known hosts, nothing of the user's."""
        self.config.write_text(
            f"IdentityFile {self.folder}/user\nIdentitiesOnly yes\nIdentityAgent none\n"
            f"UserKnownHostsFile {self.folder}/known\nGlobalKnownHostsFile /dev/null\n"
            f"{'' if port is None else f'Port {port}'}\n{more}\n",
            encoding="utf-8",
        )

    def know_host(self, *, more_port: int | None = None) -> None:
        key = (self.folder / "host.pub").read_text(encoding="utf-8")
        ports = [self.port] if more_port is None else [self.port, more_port]
        known = "".join(f"[127.0.0.1]:{port} {key}" for port in ports)
        (self.folder / "known").write_text(known, encoding="utf-8")

    def start(self) -> None:
        config = self.folder / "sshd.conf"
        pairs = " ".join(f'"{name}={value}"' for name, value in self._environment.items())
        config.write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {self.folder}/host\n"
            f"AuthorizedKeysFile {self.folder}/authorized\nPidFile {self.folder}/pid\n"
            "UsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\n"
            "PubkeyAuthentication yes\nPrintMotd no\n"
            + (f"SetEnv {pairs}\n" if pairs else "")
            + self._more,
            encoding="utf-8",
        )
        with suppress(PermissionError):
            # Only a server of root wants it.
            Path("/run/sshd").mkdir(exist_ok=True)
        with (self.folder / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(SSHD), "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        wait_for(self.listens)

    def listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def stop(self) -> None:
        """The server and all its sessions, at once, as when the device is switched off."""
        if self._process is None:
            return
        for process in [*self.sessions(), psutil.Process(self._process.pid)]:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def sessions(self) -> list[psutil.Process]:
        """What runs for its clients: sshd's own children, and what they started."""
        if self._process is None:
            return []
        found: list[psutil.Process] = psutil.Process(self._process.pid).children(recursive=True)
        return found


@contextmanager
def running_sshd(folder: Path, environment: dict[str, str], more: str = "") -> Iterator[Sshd]:
    """A server that is stopped at the end."""
    server = Sshd(folder, environment, more)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def make_key(path: Path) -> None:
    """A pair of keys, replacing one that is there."""
    for file in (path, path.with_name(f"{path.name}.pub")):
        file.unlink(missing_ok=True)
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Until it holds; TimeoutError when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)
